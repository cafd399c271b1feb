import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readMscclXml } from '../../../collectives/msccl/read.ts';
import { verify } from '../../../collectives/verify.ts';
import { HlsimError } from '../../../common/errors.ts';
import { EXCHANGE } from './support.ts';

/** A replacement in `EXCHANGE`, the line that is wrong then, and words of the message. */
type Row = readonly [title: string, from: string, to: string, line: number, ...words: string[]];

const MALFORMED: readonly Row[] = [
  ['text that is no XML', '<algo', 'algo', 1, 'XML'],
  ['a tag that is not closed', '</algo>', '', 25, 'XML', 'Unclosed'],
  ['a number with spaces inside', 'nchunksperloop="2"', 'nchunksperloop="1 2"', 1, '"1 2"'],
  ['a list of dependencies', 'depid="0" deps="1"', 'depid="0,1" deps="1"', 9, 'depid', '"0,1"'],
  ['a flag that is the name of a function', 'inplace="1"', 'inplace="constructor"', 1, 'inplace'],
  ['a special attribute twice', 'id="0"', '__proto__="0" __proto__="1" id="0"', 2, 'twice'],
  ['tags that overlap', '</tb>', '</gpu>', 6, 'XML'],
  ['an attribute without quotes', 'id="0"', 'id=0', 2, 'XML'],
  ['an attribute twice', 'id="0"', 'id="0" id="1"', 2, 'twice'],
  [
    'a document type',
    '<algo',
    '<!DOCTYPE algo SYSTEM "file:///etc/passwd">\n<algo',
    1,
    'document type',
  ],
  [
    'entities that grow',
    '<algo',
    '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>\n<algo',
    1,
    'document type',
  ],
  ['an entity that nobody declared', 'name="exchange"', 'name="&boom;"', 1, 'entity'],
  ['text between elements', '<gpu id="0"', 'hello <gpu id="0"', 2, '"hello"'],
  ['CDATA', '<gpu id="0"', '<![CDATA[x]]><gpu id="0"', 2, 'CDATA'],
  ['an element that the format does not have', '<gpu id="0"', '<nic/><gpu id="0"', 2, '"nic"'],
  [
    'an element in the wrong place',
    '    <tb id="1"',
    '<gpu id="7"/>    <tb id="1"',
    7,
    '"gpu"',
    '<gpu>',
  ],
  ['another first element', '<algo', '<topology>\n<algo', 1, '"topology"', 'first'],
  ['a second algo', '</algo>', '</algo><algo nchunksperloop="1"/>', 24, 'two'],
  ['no chunks', ' nchunksperloop="2"', '', 1, 'nchunksperloop', 'none'],
  ['0 chunks', 'nchunksperloop="2"', 'nchunksperloop="0"', 1, 'nchunksperloop', '"0"'],
  ['a number of chunks in words', 'nchunksperloop="2"', 'nchunksperloop="two"', 1, '"two"'],
  ['a number with a fraction', 'nchunksperloop="2"', 'nchunksperloop="2.0"', 1, '"2.0"'],
  ['a number without end', 'nchunksperloop="2"', `nchunksperloop="${'9'.repeat(100)}"`, 1, '"999'],
  ['more chunks than anybody has', 'nchunksperloop="2"', 'nchunksperloop="99999999"', 1, '1048576'],
  ['an unknown collective', 'coll="allreduce"', 'coll="allreuse"', 1, '"allreuse"', 'allgather'],
  ['an unknown protocol', 'proto="Simple"', 'proto="TCP"', 1, 'proto', '"TCP"', 'LL128'],
  ['a placement that is no bit', 'inplace="1"', 'inplace="yes"', 1, 'inplace', '"yes"'],
  ['a negative size', 'inplace="1"', 'inplace="1" minBytes="-8"', 1, 'minBytes', '"-8"'],
  ['fewer gpus than ngpus', 'ngpus="2"', 'ngpus="3"', 1, '3 <gpu>', '2'],
  ['more gpus than ngpus', 'ngpus="2"', 'ngpus="1"', 1, '1 <gpu>', '2'],
  ['a gpu twice', 'gpu id="1"', 'gpu id="0"', 13, 'gpu 0', 'twice'],
  ['a gpu that is missing', 'gpu id="1"', 'gpu id="2"', 1, 'no gpu 1'],
  ['a gpu with a negative id', 'gpu id="1"', 'gpu id="-1"', 13, 'id', '"-1"'],
  ['a gpu without scratch size', ' s_chunks="2"', '', 2, 's_chunks'],
  ['a negative number of chunks', 'i_chunks="2"', 'i_chunks="-2"', 2, 'i_chunks', '"-2"'],
  ['a thread block twice', 'tb id="1"', 'tb id="0"', 7, 'tb 0', 'twice'],
  ['a thread block that is missing', 'tb id="1"', 'tb id="2"', 2, 'gpu 0', 'no tb 1'],
  ['a peer that is not there', 'send="1"', 'send="2"', 3, 'send', '-1 to 1', '2'],
  ['a peer below none', 'send="1"', 'send="-2"', 3, 'send', '"-2"'],
  ['itself as peer', 'recv="1"', 'recv="0"', 3, 'recv', 'its own'],
  ['a sender without a peer', 'send="1"', 'send="-1"', 4, 'send', '-1'],
  ['a receiver without a peer', 'recv="1"', 'recv="-1"', 5, 'recv', '-1'],
  ['a sender without a channel', 'chan="0"', 'chan="-1"', 3, 'chan', '-1'],
  ['no channel', ' chan="0"', '', 3, 'chan', 'none'],
  ['a step number out of turn', 's="1" type="r"', 's="2" type="r"', 5, 's of <step>', '1', '2'],
  ['an unknown step type', 'type="s"', 'type="send"', 4, 'type', '"send"', 'rrcs'],
  ['a step without type', ' type="s"', '', 4, 'type', 'none'],
  ['an unknown buffer', 'srcbuf="i"', 'srcbuf="x"', 4, 'srcbuf', '"x"', 'i, o, s'],
  ['a send without source', ' srcoff="0"', '', 4, 'srcoff', 'none'],
  ['a negative source', 'srcoff="0"', 'srcoff="-1"', 4, 'srcoff', '"-1"'],
  ['a step of no chunks', 'cnt="2"', 'cnt="0"', 4, 'cnt', '"0"'],
  ['a step without count', ' cnt="2"', '', 4, 'cnt', 'none'],
  ['a flag that is none', 'hasdep="0"', 'hasdep="2"', 4, 'hasdep', '"2"'],
  ['a chunk outside input', 'srcoff="0"', 'srcoff="1"', 4, '1 to 2', 'the 2', ' i '],
  [
    'a chunk outside scratch',
    'dstbuf="s" dstoff="0" cnt="2" depid="-1" deps="-1" hasdep="0"/>\n    </tb>',
    'dstbuf="s" dstoff="1" cnt="2" depid="-1" deps="-1" hasdep="0"/>\n    </tb>',
    5,
    '1 to 2',
    ' s ',
  ],
  [
    'a dependency on no thread block',
    'depid="0" deps="1"',
    'depid="5" deps="1"',
    9,
    'depid',
    '1',
    '5',
  ],
  ['a dependency on no step', 'depid="0" deps="1"', 'depid="0" deps="9"', 9, 'deps', 'tb 0', '9'],
  ['a dependency without a step', 'depid="0" deps="1"', 'depid="0" deps="-1"', 9, 'deps', '-1'],
];

function failure(text: string): HlsimError {
  try {
    readMscclXml(text);
  } catch (error) {
    if (error instanceof HlsimError) return error;
    throw error;
  }
  throw new Error('it was read');
}

describe('readMscclXml', () => {
  it('reads the text that the malformed ones are made of', () => {
    const { programs } = readMscclXml(EXCHANGE);
    const verdict = verify(programs, { inPlace: true, equalChunks: false, order: 'messages' });
    expect(verdict.findings).toEqual([]);
  });

  it.each(MALFORMED.map(([title, from, to, line, ...words]) => ({ title, from, to, line, words })))(
    'refuses $title',
    ({ from, to, line, words }) => {
      expect(EXCHANGE).toContain(from);
      const error = failure(EXCHANGE.replace(from, to));
      expect(error.code).toBe('HLSIM_PROGRAM_UNREADABLE');
      expect(error.fields['line']).toBe(line);
      expect(error.message).toMatch(new RegExp(`^[A-Z].* on line ${line} of the schedule$`));
      for (const word of words) expect(error.message).toContain(word);
    },
  );

  it.each([
    ['an empty text', ''],
    ['spaces alone', ' \n\n '],
    ['a byte order mark alone', '\uFEFF'],
    ['zeros', '\0\0\0\0'],
    ['a comment without end', `<!-- ${'x'.repeat(200_000)}`],
    ['a name without end', `<${'a'.repeat(200_000)}`],
    ['an attribute without end', `<algo name="${'a'.repeat(200_000)}`],
    ['elements without end', '<algo>'.repeat(10_000)],
  ])('refuses %s', (_, text) => {
    expect(failure(text).code).toBe('HLSIM_PROGRAM_UNREADABLE');
  });

  it('refuses a text above the limit before it looks at it', () => {
    expect(() => readMscclXml(EXCHANGE, { maxBytes: 100 })).toThrow(
      /at most 100 bytes but found 1\d+/,
    );
  });

  it('refuses numbers that are too large together', () => {
    const large = EXCHANGE.replaceAll('s_chunks="2"', 's_chunks="1048576"').replace(
      'nchunksperloop="2"',
      'nchunksperloop="1048576"',
    );
    expect(failure(large.replaceAll('i_chunks="2"', 'i_chunks="1048576"')).message).toContain(
      'chunks',
    );
  });

  it('refuses every beginning of a file', () => {
    const whole = EXCHANGE.trimEnd();
    for (let length = 0; length < whole.length; length += 7) {
      expect(failure(whole.slice(0, length)).code).toBe('HLSIM_PROGRAM_UNREADABLE');
    }
  });

  it('reads or refuses whatever becomes of a file, and verify judges what was read', () => {
    const edits = fc.array(
      fc.record({
        at: fc.nat(EXCHANGE.length),
        remove: fc.nat(3),
        insert: fc.oneof(
          fc.constantFrom('0', '1', '2', '9', '-', '"', '<', '>', '/', ' ', '&', '='),
          fc.string({ maxLength: 4 }),
        ),
      }),
      { minLength: 1, maxLength: 6 },
    );
    fc.assert(
      fc.property(edits, (list) => {
        let text = EXCHANGE;
        for (const { at, remove, insert } of list) {
          text = text.slice(0, at) + insert + text.slice(at + remove);
        }
        let schedule: ReturnType<typeof readMscclXml>;
        try {
          schedule = readMscclXml(text);
        } catch (error) {
          expect(error).toBeInstanceOf(HlsimError);
          expect(error).toMatchObject({ code: 'HLSIM_PROGRAM_UNREADABLE' });
          return;
        }
        const { programs, equalChunks, placements } = schedule;
        for (const placement of placements) {
          verify(programs, { inPlace: placement === 'inPlace', equalChunks, order: 'messages' });
        }
      }),
      { numRuns: 1_500 },
    );
  });

  it('reads or refuses a file in which any one number is another', () => {
    const numbers = [...EXCHANGE.matchAll(/"(-?\d+)"/g)];
    for (const { index, 0: quoted } of numbers) {
      for (const value of ['-1', '0', '1', '2', '3', '7']) {
        const end = index + quoted.length;
        const text = `${EXCHANGE.slice(0, index)}"${value}"${EXCHANGE.slice(end)}`;
        try {
          const { programs, equalChunks } = readMscclXml(text);
          verify(programs, { inPlace: true, equalChunks, order: 'messages', depth: 1 });
        } catch (error) {
          expect(error).toMatchObject({ code: 'HLSIM_PROGRAM_UNREADABLE' });
        }
      }
    }
  });
});
