/** Computes without ever letting its thread go. */
import process from 'node:process';

process.stdout.write('busy\n');
// The line leaves the thread in a later turn of its event loop.
setTimeout(() => {
  for (;;);
}, 100);
