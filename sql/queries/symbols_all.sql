select symbol_id, symbol from market.symbols order by symbol_id;
