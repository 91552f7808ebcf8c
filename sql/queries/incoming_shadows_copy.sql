copy incoming_shadows from stdin with (format csv);
