"""A folder of trainings, searches and networks in the browser: what is there (`found`), what is
told of each (`runs`), and who may ask (`app`)."""
