/** Prints where it runs, as torchrun names it, and its arguments. */
import process from 'node:process';

const names = [
  'RANK',
  'WORLD_SIZE',
  'LOCAL_RANK',
  'LOCAL_WORLD_SIZE',
  'GROUP_RANK',
  'GROUP_WORLD_SIZE',
  'ROLE_RANK',
  'ROLE_WORLD_SIZE',
  'MASTER_ADDR',
  'MASTER_PORT',
  'TORCHELASTIC_RUN_ID',
  'TORCHELASTIC_RESTART_COUNT',
  'TORCHELASTIC_MAX_RESTARTS',
  'FRUIT',
  'HLSIM_TOKEN',
];
const environment = Object.fromEntries(names.map((name) => [name, process.env[name] ?? null]));
process.stdout.write(`${JSON.stringify({ environment, arguments: process.argv.slice(2) })}\n`);
process.stderr.write('a line on stderr\n');
