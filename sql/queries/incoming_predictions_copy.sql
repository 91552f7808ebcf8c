copy incoming_predictions from stdin with (format csv);
