#!/usr/bin/env node
'use strict';
const { server } = require('..');

if (process.argv[2] === '--help') {
  console.log('usage: pages [PORT]');
} else {
  server.listen(Number(process.argv[2] || 8080), () => {
    console.log(`Node.js ${process.version} serves http://localhost:${server.address().port}/`);
  });
}
