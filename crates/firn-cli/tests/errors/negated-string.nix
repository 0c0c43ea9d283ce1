!(if true then "yes" else false)
