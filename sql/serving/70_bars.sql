-- Raw daily bars as they are believed now.
create or replace view serving.bars as
select symbol, timeframe, ts, open, high, low, close, volume, known_at
from market.bars;
