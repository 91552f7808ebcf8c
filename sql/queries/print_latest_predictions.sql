-- What `make run` prints when the night is over.
select
    symbol,
    horizon,
    to_char(as_of at time zone 'UTC', 'YYYY-MM-DD') as as_of,
    round(p_up::numeric, 3) as p_up,
    direction,
    to_char(100 * expected_return, 'FMS990.00') || ' %' as expected,
    round(price::numeric, 2) as price,
    round(price_target::numeric, 2) as target,
    round(price_lower::numeric, 2) || ' - ' || round(price_upper::numeric, 2) as interval,
    model_version as model,
    has_skill as skill,
    is_stale as stale
from serving.latest_predictions
order by symbol, length(horizon), horizon;
