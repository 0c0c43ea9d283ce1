#!/usr/bin/env node
'use strict';
const { greeting } = require('..');
console.log(greeting(process.argv[2] || 'world', Math.round(process.uptime() * 1000)));
