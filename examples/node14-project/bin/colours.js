#!/usr/bin/env node
'use strict';
const { names, painted } = require('..');
console.log(`Node.js ${process.version}: ${names.map(painted).join(' ')}`);
