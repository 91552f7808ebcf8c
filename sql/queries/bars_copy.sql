copy market.bars (timeframe, symbol_id, ts, open, high, low, close, volume, known_at, ingest_id)
from stdin with (format binary);
