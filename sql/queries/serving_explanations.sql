select horizon, rank, feature, effect, feature_value, share_below, factor, words
from serving.explanations
where symbol = %(symbol)s
order by horizon, rank;
