"port " + 80
