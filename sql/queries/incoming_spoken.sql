-- Of whose actions, on which days, the delivery says all that there is; no symbol means every one.
create temporary table incoming_spoken (
    symbol text,
    first date,
    last date,
    unique (symbol, first, last)
) on commit drop;
