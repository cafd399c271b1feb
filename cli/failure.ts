/** How a command tells that it failed: one line on stderr, and an exit code. */
import { CommanderError } from 'commander';
import { HlsimError, messageOf } from '../common/errors.ts';
import { InterruptedError } from './interruption.ts';
import type { Terminal } from './terminal.ts';

/** Prints `hlsim: <message> [CODE]`. Returns the exit code: 2 for usage, 1 for any other failure. */
export function reportFailure(terminal: Terminal, reason: unknown): number {
  terminal.settle();
  if (reason instanceof InterruptedError) {
    if (reason.signal !== 'SIGPIPE') terminal.note(`hlsim: ${reason.message}`);
    return reason.exitCode;
  }
  const error = asHlsimError(reason);
  terminal.note(`${terminal.alarm('hlsim:')} ${oneLine(error.message)} [${error.code}]`);
  if (error.code === 'HLSIM_INTERNAL' && reason instanceof Error) terminal.note(reason.stack ?? '');
  return error.code === 'HLSIM_USAGE' ? 2 : 1;
}

function asHlsimError(reason: unknown): HlsimError {
  if (reason instanceof HlsimError) return reason;
  if (reason instanceof CommanderError) return usageOfCommander(reason);
  return new HlsimError('HLSIM_INTERNAL', messageOf(reason), { cause: reason });
}

/** commander's own errors, in the words of ours: what was expected, what was found. */
const COMMANDER_SENTENCES: readonly (readonly [RegExp, string])[] = [
  [
    /^error: unknown option '(.*)'(?:\n\(Did you mean (.*)\?\))?$/,
    'Expected a flag of this command but found $1, see --help',
  ],
  [/^error: option '(.*)' argument missing$/, 'Expected a value after $1 but found none'],
  [/^error: missing required argument '(.*)'$/, 'Expected <$1> but found nothing, see --help'],
  [
    /^error: too many arguments for '(.*)'\. Expected (\d+) arguments? but got (\d+)\.$/,
    'Expected no more arguments of hlsim $1 than $2 but found $3',
  ],
  [
    /^error: unknown command '(.*)'(?:\n\(Did you mean (.*)\?\))?$/,
    'Expected a command of hlsim but found "$1", see hlsim --help',
  ],
];

function usageOfCommander(error: CommanderError): HlsimError {
  const sentence = COMMANDER_SENTENCES.find(([pattern]) => pattern.test(error.message));
  const words =
    sentence === undefined ? error.message : error.message.replace(sentence[0], sentence[1]);
  const meant = /\(Did you mean (.*)\?\)/.exec(error.message);
  return new HlsimError('HLSIM_USAGE', meant === null ? words : `${words} (perhaps ${meant[1]})`);
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ');
}
