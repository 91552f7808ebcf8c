-- Released rows up to a session that no delivery has taken in yet.
select review_id, symbol, session as date, open, high, low, close, volume, reason
from serving.quarantine
where state = 'released' and taken_in_by is null and session <= %(last)s
order by symbol, session, quarantine_id;
