"${./no-such-folder}/file"
