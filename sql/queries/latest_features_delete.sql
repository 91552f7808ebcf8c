delete from market.latest_features where domain = %(domain)s;
