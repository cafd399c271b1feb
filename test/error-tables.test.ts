import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isErrno } from '../common/errno.ts';
import { isFiErrno } from '../node/fabric/fabric.ts';
import { errorTables, renderErrorTable } from './error-tables.ts';

const text = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8');
const dataPlane = text.slice(text.indexOf('\n# Errors of the data plane\n'));

describe('the error tables of the data plane', () => {
  it.each(errorTables())('$title: docs/errors.md shows what the code answers', (table) => {
    expect(dataPlane).toContain(renderErrorTable(table));
  });

  it('docs/errors.md shows no other table', () => {
    const shown = [...dataPlane.matchAll(/^### (.*)$/gm)].map(([, title]) => title);
    expect(shown).toEqual(errorTables().map(({ title }) => title));
  });

  it.each(errorTables())(
    '$title: every row is whole, and none is there twice',
    ({ columns, rows }) => {
      expect(rows.length).toBeGreaterThan(0);
      for (const row of rows) {
        expect(row).toHaveLength(columns.length);
        expect(row.filter((cell) => cell === 'undefined' || cell === '[object Object]')).toEqual(
          [],
        );
      }
      const keys = rows.map((row) => `${row[0]} ${columns[1] === 'condition' ? row[1] : ''}`);
      expect(new Set(keys).size).toBe(rows.length);
    },
  );

  it('every error number and code that a table names exists', () => {
    for (const { columns, rows } of errorTables()) {
      for (const [index, column] of columns.entries()) {
        const cells = rows.map((row) => row[index] ?? '').filter((cell) => cell !== '');
        if (column === 'errno') expect(cells.filter((cell) => !isErrno(cell))).toEqual([]);
        if (column === 'in libfabric') expect(cells.filter((cell) => !isFiErrno(cell))).toEqual([]);
      }
    }
  });
});
