-- Who belongs to the universe on a session, as it is believed now.
select symbol
from market.universe_members
where superseded_at is null and %(session)s >= valid_from and %(session)s < valid_to;
