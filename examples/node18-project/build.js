// Writes types.json, the content type of each page, so that the server needs no table of all types there are.
'use strict';
const fs = require('fs');
const { execFileSync } = require('child_process');

const types = {};
for (const name of fs.readdirSync('pages')) {
  // a program of a package, as npm's scripts find it
  types[name] = execFileSync('mime', [name], { encoding: 'utf8' }).trim();
}
fs.writeFileSync('types.json', JSON.stringify(types, null, 2) + '\n');
