create temporary table incoming_quarantine (
    symbol text,
    session timestamp,
    open double precision,
    high double precision,
    low double precision,
    close double precision,
    volume double precision,
    reason text
) on commit drop;
