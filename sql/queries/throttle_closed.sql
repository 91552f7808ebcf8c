select failures, greatest(open_until, paused_until) as until
from market.throttles
where account = %(account)s;
