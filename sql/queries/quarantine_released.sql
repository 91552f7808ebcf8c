-- Rows whose values a reviewer released.
select symbol, session as date, open, high, low, close, volume, reason
from serving.quarantine
where state = 'released'
order by symbol, session, quarantine_id;
