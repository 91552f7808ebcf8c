create temporary table incoming_members (
    symbol text,
    valid_from timestamp,
    valid_to timestamp
) on commit drop;
