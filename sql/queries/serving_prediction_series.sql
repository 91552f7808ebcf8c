-- The last word of each of the last nights on one symbol and horizon, and its prices in shares as they are now.
with nights as (
    select
        as_of, matures_at, p_up, direction, confidence, expected_return, return_lower, return_upper,
        price, price_target, price_lower, price_upper, model_version, has_skill, data_cutoff, published_at
    from serving.prediction_history
    where symbol = %(symbol)s and horizon = %(horizon)s and is_final
    order by as_of desc
    limit %(nights)s
),
last_session as (
    select serving.session_of(max(ts)) as session
    from serving.bars
    where timeframe = '1d' and symbol = %(symbol)s
),
factors as (
    select n.as_of, coalesce(exp(sum(ln(s.value))), 1) as split_factor
    from nights n
    left join serving.actions s
        on s.symbol = %(symbol)s
            and s.kind = 'split'
            and s.value > 0
            and s.ex_date > serving.session_of(n.as_of)
            and s.ex_date <= (select session from last_session)
    group by n.as_of
)
select
    n.*,
    f.split_factor,
    n.price / f.split_factor as adjusted_price,
    n.price_target / f.split_factor as adjusted_target,
    n.price_lower / f.split_factor as adjusted_lower,
    n.price_upper / f.split_factor as adjusted_upper
from nights n
join factors f using (as_of)
order by n.as_of;
