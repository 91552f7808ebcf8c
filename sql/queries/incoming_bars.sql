create temporary table incoming_bars (
    symbol text,
    ts timestamptz,
    open double precision,
    high double precision,
    low double precision,
    close double precision,
    volume double precision
) on commit drop;
