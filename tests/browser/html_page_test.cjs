// Opens pages of sample_page in chromium and uses them as a reader would.
//
//   node html_page_test.cjs sample_page [node_modules] [pictures]
//
// playwright-core is looked for in the folder node_modules, then where node looks itself
// (NODE_PATH); chromium at $CHROMIUM, then in PATH. Exit status 77: one of them is missing.
// With a folder for pictures, screenshots of the pages are left there.
'use strict';

const assert = require('node:assert/strict');
const {execFileSync} = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const {pathToFileURL} = require('node:url');

const SKIPPED = 77;
const LAPTOP = {width: 1366, height: 768};
const EVIL = '</script><b onmouseover=\'alert(1)\'>"&amp;<!--\n<script>alert(2)</script>';

function skip(reason) {
  console.log(`skipped: ${reason}`);
  process.exit(SKIPPED);
}

function findPlaywright(folder) {
  const names = folder ? [path.resolve(folder, 'playwright-core'), 'playwright-core'] :
    ['playwright-core'];
  for (const name of names) {
    try {
      return require(name);
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') {
        throw error;
      }
    }
  }
  return skip('no playwright-core (npm install playwright-core)');
}

function findChromium() {
  if (process.env.CHROMIUM) {
    return process.env.CHROMIUM;
  }
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
      if (fs.existsSync(path.join(folder, name))) {
        return path.join(folder, name);
      }
    }
  }
  return skip('no chromium (Debian package: chromium)');
}

function parsedCsv(text) {
  const rows = [['']];
  let isQuoted = false;
  for (let i = 0; i < text.length; ++i) {
    const row = rows.at(-1);
    const c = text[i];
    if (isQuoted && c === '"' && text[i + 1] === '"') {
      row[row.length - 1] += c;
      ++i;
    } else if (c === '"') {
      isQuoted = !isQuoted;
    } else if (!isQuoted && c === ',') {
      row.push('');
    } else if (!isQuoted && c === '\n') {
      rows.push(['']);
    } else {
      row[row.length - 1] += c;
    }
  }
  assert.deepEqual(rows.pop(), [''], 'a CSV ends with a line feed');
  return rows;
}

async function savedCsv(page, section) {
  const download = page.waitForEvent('download');
  await section.locator('.csv').click();
  const saved = await download;
  return {
    name: saved.suggestedFilename(),
    rows: parsedCsv(fs.readFileSync(await saved.path(), 'utf8')),
  };
}

const sectionOf = (page, title) =>
  page.locator('section').filter({has: page.getByRole('heading', {name: title, exact: true})});

// How many pixels of each canvas have a colour: axes and texts are grey, or nearly.
const colouredPixels = (page) => page.evaluate(() =>
  [...document.querySelectorAll('canvas')].map((canvas) => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d');
    copy.drawImage(canvas, 0, 0);
    const {data} = copy.getImageData(0, 0, canvas.width, canvas.height);
    let coloured = 0;
    for (let i = 0; i < data.length; i += 4) {
      const spread = Math.max(data[i], data[i + 1], data[i + 2]) -
        Math.min(data[i], data[i + 1], data[i + 2]);
      coloured += data[i + 3] > 200 && spread > 40 ? 1 : 0;
    }
    return coloured;
  }));

// A canvas as it is drawn now.
const drawing = (section) => section.locator('.drawing canvas').evaluate((canvas) =>
  canvas.toDataURL());

const columnOf = (section, column) => section.locator('tbody tr:not([hidden])').evaluateAll(
  (rows, index) => rows.map(({cells}) => cells[index].dataset.value ?? cells[index].textContent),
  column);

async function testCanvases(page) {
  const coloured = await colouredPixels(page);
  assert.equal(coloured.length, 6 + 4 + 2 + 5 + 2 + 2, 'six charts and their legends');
  coloured.forEach((pixels, i) => assert.ok(pixels > 50, `canvas ${i} has ${pixels} pixels`));
}

async function testLayout(page) {
  const [wide, seen] = await page.evaluate(() =>
    [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(wide <= seen, 'a laptop does not scroll sideways');
  const height = (title) => sectionOf(page, title).locator('.drawing').evaluate((drawn) =>
    drawn.offsetHeight);
  assert.ok(await height('Widths per layer') > 54 * 15, 'bars of 54 layers have room');
  assert.ok(await height('Area') < 250, 'three bars take little');
}

async function testLegend(page) {
  const section = sectionOf(page, 'Latency and error of assignments');
  const button = section.getByRole('button', {name: 'greedy'});
  const before = await drawing(section);
  await button.click();
  assert.equal(await button.getAttribute('aria-pressed'), 'false');
  assert.notEqual(await drawing(section), before, 'a series is hidden');
  await button.click();
  assert.equal(await button.getAttribute('aria-pressed'), 'true');
  assert.equal(await drawing(section), before, 'and shown again');
}

async function testHover(page) {
  const section = sectionOf(page, 'Widths per layer');
  const canvas = section.locator('.drawing canvas');
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  const before = await drawing(section);
  await canvas.hover({position: {x: box.width / 2, y: 175}});
  await page.waitForFunction(([index, old]) =>
    document.querySelectorAll('.drawing canvas')[index].toDataURL() !== old, [1, before]);

  const titles = new Set();
  for (let y = 60; y < 260; y += 5) {
    await canvas.hover({position: {x: 60, y}});
    titles.add(await canvas.getAttribute('title'));
  }
  assert.ok(titles.has('layer1.0.downsample.convolution_of_the_shortcut'),
    `the whole of a shortened name, among ${[...titles]}`);
}

async function testSorting(page) {
  const section = sectionOf(page, 'Layers');
  const header = (name) => section.locator('th').filter({hasText: name});
  const original = await columnOf(section, 0);
  assert.equal(original.length, 60);

  await header('MACs').getByRole('button').click();
  assert.equal(await header('MACs').getAttribute('aria-sort'), 'ascending');
  const up = await columnOf(section, 2);
  const numbers = up.slice(0, 54).map(Number);
  assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
  assert.deepEqual(up.slice(54), Array(6).fill('-'), 'missing numbers come last');

  await page.keyboard.press('Enter');  // the heading has the focus
  assert.equal(await header('MACs').getAttribute('aria-sort'), 'descending');
  const down = await columnOf(section, 2);
  assert.deepEqual(down.slice(0, 54), up.slice(0, 54).reverse());
  assert.deepEqual(down.slice(54), Array(6).fill('-'), 'then too');

  await page.keyboard.press('Space');
  assert.equal(await header('MACs').getAttribute('aria-sort'), null);
  assert.deepEqual(await columnOf(section, 0), original, 'as the rows came');

  await header('share').getByRole('button').click();
  const shares = (await columnOf(section, 7)).map(Number);
  assert.deepEqual(shares, [...shares].sort((a, b) => a - b), 'numbers with units');
  await header('share').getByRole('button').click();
  await header('share').getByRole('button').click();
}

async function testFilter(page) {
  const section = sectionOf(page, 'Layers');
  const filter = section.getByRole('searchbox');
  await filter.fill('LAYER3 conv1');
  const names = await columnOf(section, 0);
  assert.deepEqual(names, [0, 1, 2, 3, 4, 5].map((block) => `layer3.${block}.conv1`));
  assert.equal(await section.getByRole('status').textContent(), '6 of 60 rows');

  const {rows} = await savedCsv(page, section);
  assert.deepEqual(rows.slice(1).map((row) => row[0]), names, 'what is shown is saved');

  await filter.fill('no such layer');
  assert.deepEqual(await columnOf(section, 0), []);
  await filter.fill('');
  assert.equal((await columnOf(section, 0)).length, 60);
  assert.equal(await section.getByRole('status').textContent(), '');
  assert.equal(await sectionOf(page, 'Area').getByRole('searchbox').count(), 0);
}

async function testTableCsv(page) {
  const section = sectionOf(page, 'Layers');
  const {name, rows} = await savedCsv(page, section);
  assert.equal(name, 'layers.csv');
  assert.equal(rows.length, 61);
  assert.deepEqual(rows[0], ['layer', 'kind', 'MACs', 'weights (bits)', 'activations (bits)',
    'latency (cycles)', 'energy (uJ)', 'share (%)', 'stalls']);
  assert.equal(rows[1][0], 'conv1');
  assert.match(rows[1][2], /^\d+$/, 'numbers without separators');
  assert.match(rows[1][7], /^\d+\.\d$/, 'and without units');
  assert.deepEqual(rows.slice(1).map((row) => row[5]), await columnOf(section, 5));
}

async function testChartCsv(page) {
  const front = await savedCsv(page, sectionOf(page, 'Latency and error of assignments'));
  assert.equal(front.name, 'latency-and-error-of-assignments.csv');
  assert.deepEqual(front.rows[0], ['series', 'latency (ms)', 'estimated error (loss)', 'note']);
  assert.equal(front.rows.length, 1 + 3 * 22 + 7);
  assert.equal(front.rows.at(-1)[0], 'one width for all');
  assert.match(front.rows[1][3], /^weights .* bits, activations .* bits$/);

  const bars = await savedCsv(page, sectionOf(page, 'Widths per layer'));
  assert.deepEqual(bars.rows.slice(0, 2),
    [['layer', 'weights', 'activations'], ['conv1', '8', '8']]);
  assert.equal(bars.rows.length, 55);
}

async function testPaper(page) {
  await page.emulateMedia({media: 'print'});
  const before = await page.evaluate(() => {
    dispatchEvent(new Event('beforeprint'));
    return getComputedStyle(document.body).backgroundColor;
  });
  assert.equal(before, 'rgb(255, 255, 255)');
  await testCanvases(page);
  assert.equal(await page.locator('.csv:visible').count(), 0);
  await page.evaluate(() => dispatchEvent(new Event('afterprint')));
  await page.emulateMedia({media: 'screen'});
}

async function testHostileTexts(page) {
  const shown = await page.locator('h2').first().textContent();
  assert.equal(shown, EVIL);
  assert.equal(await page.locator('b').count(), 0);
  const table = page.locator('section.table').first();
  assert.deepEqual((await savedCsv(page, table)).rows,
    [[EVIL, 'value'], [EVIL, '2'], ['a,"b"', '-10'], ['', '-'], ['x10', '1000']]);
  const bars = await savedCsv(page, page.locator('section.chart').first());
  assert.deepEqual(bars.rows, [[EVIL, EVIL, `${EVIL} note`, 'toString'], [EVIL, '1', EVIL, '0'],
    ['__proto__', '2', EVIL, '-1'], ['=1+1', '3', EVIL, '0.5']]);
  const canvas = page.locator('.drawing canvas').first();
  const box = await canvas.boundingBox();
  await canvas.hover({position: {x: box.width / 2, y: box.height / 3}});
  await page.locator('th button').first().click();
  assert.equal(await page.locator('.drawing canvas').count(), 2, 'an empty chart says so instead');
  assert.ok((await colouredPixels(page)).every((pixels) => pixels > 50));
}

async function main() {
  const [generator, modules, pictures] = process.argv.slice(2);
  assert.ok(generator, 'usage: node html_page_test.cjs sample_page [node_modules] [pictures]');
  const {chromium} = findPlaywright(modules);
  const executablePath = findChromium();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'html_page_test.'));
  // Chromium's sandbox cannot be set up by root, nor inside most containers.
  const browser = await chromium.launch({executablePath, args: ['--no-sandbox']});

  async function withPage(name, colorScheme, steps) {
    const file = path.join(folder, `${name}.html`);
    fs.writeFileSync(file, execFileSync(generator, [name], {maxBuffer: 1 << 26}));
    const url = pathToFileURL(file).href;
    const context = await browser.newContext({viewport: LAPTOP, colorScheme});
    const page = await context.newPage();
    const complaints = [];
    page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => complaints.push(error.stack));
    page.on('dialog', (dialog) => {
      complaints.push(`dialog: ${dialog.message()}`);
      return dialog.dismiss();
    });
    page.on('request', (request) => {
      if (request.url() !== url && !/^(data|blob):/.test(request.url())) {
        complaints.push(`request: ${request.url()}`);
      }
    });
    await page.goto(url);
    for (const step of steps) {
      await step(page);
      console.log(`ok ${name}, ${colorScheme}: ${step.name}`);
    }
    if (pictures) {
      fs.mkdirSync(pictures, {recursive: true});
      await page.mouse.move(0, 0);
      await page.evaluate(() => scrollTo(0, 0));
      const picture = path.join(pictures, `${name}-${colorScheme}`);
      await page.screenshot({path: `${picture}.png`, fullPage: true});
      await page.addStyleTag({content: 'html { filter: grayscale(1); }'});
      await page.screenshot({path: `${picture}-grey.png`, fullPage: true});
    }
    assert.deepEqual(complaints, [], 'errors, messages, dialogs and requests of the page');
    await context.close();
  }

  try {
    await withPage('report', 'light', [testCanvases, testLayout, testLegend, testHover, testSorting,
      testFilter, testTableCsv, testChartCsv, testPaper, testCanvases]);
    await withPage('report', 'dark', [testCanvases, testPaper, testCanvases]);
    await withPage('hostile', 'light', [testHostileTexts]);
  } finally {
    await browser.close();
    fs.rmSync(folder, {recursive: true});
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
