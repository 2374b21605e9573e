"""Many time series: read from tables, checked, and kept on disk by series.

columns.py    which columns of a table hold what
frames.py     the rows of CSV, TSV and Parquet files, a block at a time
cells.py      cells as numbers and as times
layouts.py    one observation a row, a column a series, or a row a series
grid.py       the steps of time that a frequency makes
grouping.py   the rows of each series together, in order, on the grid
store.py      series on disk: Panel
calendar.py   what a date is, as numbers
"""
