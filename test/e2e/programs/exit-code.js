/** One rank ends with an exit code; the others would wait for ever. Arguments: rank, exit code. */
import process from 'node:process';

const [rank, exitCode] = process.argv.slice(2).map(Number);
if (Number(process.env.RANK) === rank) {
  process.stdout.write('no newline at the end');
  process.exitCode = exitCode;
} else {
  setInterval(() => undefined, 1_000);
}
