select *
from serving.latest_predictions
where (%(symbol)s::text is null or symbol = %(symbol)s)
    and (%(horizon)s::text is null or horizon = %(horizon)s)
order by domain, symbol, matures_at;
