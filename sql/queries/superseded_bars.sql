create temporary table if not exists superseded_bars (
    symbol_id integer,
    ts timestamptz
) on commit drop;
