"""From a configuration to the network that answers."""

from recurra.errors import BadInput
from recurra.layers import Dropout
from recurra.models.encoder_decoder import Bridge, Decoder, Encoder
from recurra.models.hierarchical_encoder import HierarchicalEncoder
from recurra.models.pointer import Pointer
from recurra.models.translator import Translator
from recurra.tasks.dialogue.config import Config
from recurra.tasks.dialogue.reading import History
from recurra.tasks.layers import make_layers
from recurra.tasks.translation.network import make_attention
from recurra.tasks.translation.reading import Sides


def build_network(config: Config, sides: Sides) -> Translator:
    """The model of ``config`` with fresh weights.

    Raises:
        BadInput: an unknown cell, or options that do not fit together.
    """
    if config.feeding and config.attention == "none":
        raise BadInput("--feeding needs an attention, whose answer is fed back; choose one by --attention")
    if config.attention == "dot":
        raise BadInput("--attention dot compares vectors of one size, and the encoder's are wider; use general")
    hidden_size = config.embedding_size if config.tied else config.hidden_size
    if config.copying != "none" and config.attention == "none":
        raise BadInput(f"--copying {config.copying} goes by where the decoder attends; choose an --attention")
    encoder, memory_size = _encoder(config, sides)
    fed = hidden_size if config.feeding else 0
    written, output_size = make_layers(config, config.embedding_size + fed, "forward", Dropout(config.dropout))
    decoder = Decoder(
        sides.target.size,
        config.embedding_size,
        written,
        output_size,
        attention=make_attention(config.attention, output_size, memory_size, config.hidden_size),
        memory_size=memory_size,
        hidden_size=hidden_size,
        dropout=Dropout(config.dropout),
        feeding=config.feeding,
        tied=config.tied,
        pointer=None if config.copying == "none" else Pointer(hidden_size),
    )
    history = sides.source
    assert isinstance(history, History)
    return Translator(encoder, decoder, Bridge(2 * memory_size, written.initial_state(1)), history.copies)


def _encoder(config: Config, sides: Sides) -> tuple[Encoder | HierarchicalEncoder, int]:
    history = sides.source
    assert isinstance(history, History)
    dropout = Dropout(config.dropout)
    words, size = make_layers(config, config.embedding_size, "both", dropout)
    if config.encoder == "flat":
        return Encoder(history.size, config.embedding_size, words, dropout=dropout), size
    turns, turn_size = make_layers(config, size, "forward", dropout)
    speakers = len(history.speakers)
    encoder = HierarchicalEncoder(history.size, config.embedding_size, speakers, words, turns, dropout=dropout)
    return encoder, size + turn_size
