rec { __overrides = "none"; a = 1; }
