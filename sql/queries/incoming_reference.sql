create temporary table incoming_reference (
    instrument text,
    symbol text,
    valid_from timestamp,
    valid_to timestamp,
    name text,
    type text,
    exchange text,
    sector text,
    listed timestamp,
    delisted timestamp
) on commit drop;
