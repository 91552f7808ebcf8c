-- Whether any list of members is believed.
select 1 from market.universe_members where superseded_at is null limit 1;
