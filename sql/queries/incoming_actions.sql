create temporary table incoming_actions (
    symbol text,
    ex_date date,
    kind text,
    value double precision
) on commit drop;
