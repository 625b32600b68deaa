"""How much of a file is read before it is refused."""

MEGABYTE = 1024 * 1024

FILE_BYTES = 50 * MEGABYTE
ROWS = 200_000
# Rows a spreadsheet can have: blank ones below the last entry count here only.
SHEET_ROWS = 1_048_576
COLUMNS = 256
CELL_CHARACTERS = 32_767
LINE_CHARACTERS = 1 * MEGABYTE

# XLSX files are archives. A full register of ROWS rows stays well below these.
ARCHIVE_PARTS = 1_000
ARCHIVE_BYTES = 384 * MEGABYTE
TEXTS_BYTES = 48 * MEGABYTE
STRUCTURE_BYTES = 4 * MEGABYTE
TEXTS = 1_000_000
TAG_BYTES = 2 * MEGABYTE
DIRECTORY_BYTES = 1 * MEGABYTE

BATCH_ROWS = 500
