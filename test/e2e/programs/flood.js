/** Prints as many lines as its argument says, as fast as it can. */
import process from 'node:process';

const LINES = Number(process.argv[2]);
for (let line = 0; line < LINES; line++) process.stdout.write(`line ${line} ${'x'.repeat(80)}\n`);
