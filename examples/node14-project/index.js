'use strict';
const chalk = require('chalk');

exports.names = ['red', 'green', 'blue'];
exports.painted = (name) => new chalk.Instance({ level: 1 })[name](name);
