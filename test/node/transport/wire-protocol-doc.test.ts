import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FRAME_TYPES, NAK_SYNDROMES } from '../../../node/transport/frame.ts';
import { FRAME_OFFSETS } from '../../../node/transport/frame-codec.ts';
import { LINK_HEADERS, LINK_PATH, WIRE_PATH } from '../../../node/transport/link-handshake.ts';
import { LINK_CLOSE_CODES } from '../../../node/transport/link-medium.ts';
import { WIRE_TIMEOUT_MS } from '../../../node/transport/transport.ts';
import { WIRE_OFFERS_MAX } from '../../../node/transport/wire-door.ts';

const text = readFileSync(new URL('../../../docs/wire-protocol.md', import.meta.url), 'utf8');

describe('docs/wire-protocol.md', () => {
  it('has a row with the code of every frame type', () => {
    for (const [name, code] of Object.entries(FRAME_TYPES)) {
      expect(text).toContain(`| ${code} | \`${name}\` |`);
    }
  });

  it('has a row with the code of every syndrome', () => {
    for (const [name, code] of Object.entries(NAK_SYNDROMES)) {
      expect(text).toContain(`| ${code} | \`${name}\` |`);
    }
  });

  it('has a row with the offset of every field', () => {
    for (const [name, offset] of Object.entries(FRAME_OFFSETS)) {
      expect(text).toMatch(new RegExp(`^\\| ${offset} \\| \\d+ \\| \`${name}\` \\|`, 'm'));
    }
  });

  it('names both paths, and the bounds of wires', () => {
    for (const path of [LINK_PATH, WIRE_PATH]) expect(text).toContain(`\`GET ${path}\``);
    expect(text).toContain(`(\`WIRE_OFFERS_MAX\`) | ${WIRE_OFFERS_MAX} |`);
    expect(text).toContain(`(\`WIRE_TIMEOUT_MS\`) | ${WIRE_TIMEOUT_MS / 1000} s |`);
  });

  it('names every request header, and every close code', () => {
    for (const name of Object.values(LINK_HEADERS)) expect(text.toLowerCase()).toContain(name);
    for (const code of Object.values(LINK_CLOSE_CODES)) expect(text).toContain(`| ${code} |`);
  });
});
