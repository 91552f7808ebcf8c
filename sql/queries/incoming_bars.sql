create temporary table if not exists incoming_bars (
    timeframe text,
    symbol_id integer,
    ts timestamptz,
    open double precision,
    high double precision,
    low double precision,
    close double precision,
    volume double precision,
    known_at timestamptz,
    ingest_id bigint
) on commit drop;
