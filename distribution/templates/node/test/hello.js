'use strict';
const assert = require('assert');
const { greeting } = require('..');

assert.match(greeting('Zoë', 60000), /^Hello, Zoë! Node.js v.* has been up for 1m\.$/);
