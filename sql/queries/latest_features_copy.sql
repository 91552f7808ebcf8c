copy market.latest_features (domain, entity, feature_values) from stdin with (format csv);
