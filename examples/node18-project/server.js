'use strict';
const fs = require('fs');
const http = require('http');
const path = require('path');
const ms = require('ms');
const types = require('./types.json');

const folder = path.join(__dirname, 'pages');

exports.server = http.createServer((request, response) => {
  const name = request.url === '/' ? 'index.html' : request.url.slice(1);
  if (!Object.hasOwn(types, name)) {
    response.writeHead(404).end(`There is no page '${name}'.\n`);
    return;
  }
  response.writeHead(200, { 'content-type': types[name], 'cache-control': `max-age=${ms('10m') / 1000}` });
  fs.createReadStream(path.join(folder, name)).pipe(response);
});
