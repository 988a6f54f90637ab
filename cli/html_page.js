// What a report's page does: draws its charts, sorts and filters its tables, saves both as CSV.
(() => {
  'use strict';

  const root = document.documentElement;
  root.classList.add('scripted');

  // ---- numbers and texts

  const THIN_SPACE = '\u202f';
  const MINUS = '\u2212';
  const SUPERSCRIPTS = {
    '-': '\u207b', 0: '\u2070', 1: '\u00b9', 2: '\u00b2', 3: '\u00b3', 4: '\u2074', 5: '\u2075',
    6: '\u2076', 7: '\u2077', 8: '\u2078', 9: '\u2079',
  };

  // "1 234 567.89"; very large and very small ones as "1.2×10⁻⁷".
  function numberText(value) {
    const size = Math.abs(value);
    if (size !== 0 && (size >= 1e12 || size < 1e-4)) {
      const [mantissa, exponent] = value.toExponential(3).split('e');
      const power = [...String(Number(exponent))].map((c) => SUPERSCRIPTS[c]).join('');
      return `${String(Number(mantissa)).replace('-', MINUS)}\u00d710${power}`;
    }
    const rounded = Number.isInteger(value) ? value : Number(value.toPrecision(6));
    const [whole, fraction] = String(Math.abs(rounded)).split('.');
    return (rounded < 0 ? MINUS : '') + whole.replace(/\B(?=(\d{3})+$)/g, THIN_SPACE) +
      (fraction ? `.${fraction}` : '');
  }

  // The ends tell layers apart, so the middle goes.
  function shortened(text, length) {
    const characters = [...text.replaceAll('\n', ' ')];
    if (characters.length <= length) {
      return characters.join('');
    }
    const atEnd = Math.ceil((length - 1) / 2);
    return characters.slice(0, length - 1 - atEnd).join('') + '\u2026' +
      characters.slice(-atEnd).join('');
  }

  // Lines of at most `length` characters, broken between words where there are any.
  function wrapped(text, length) {
    const lines = [];
    for (const paragraph of text.split('\n')) {
      let line = '';
      for (let word of paragraph.split(' ')) {
        if (line && line.length + 1 + word.length > length) {
          lines.push(line);
          line = '';
        }
        for (; word.length > length; word = word.slice(length)) {
          lines.push(word.slice(0, length));
        }
        line = line ? `${line} ${word}` : word;
      }
      lines.push(line);
    }
    return lines;
  }

  // ---- CSV

  function csvField(value) {
    const text = String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  function saveCsv(title, rows) {
    const text = rows.map((row) => `${row.map(csvField).join(',')}\n`).join('');
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([text], {type: 'text/csv;charset=utf-8'}));
    const name = title.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '').slice(0, 60);
    link.download = `${name || 'data'}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  // ---- tables

  const texts = new Intl.Collator('en', {numeric: true});

  function isMissing(cell) {
    return cell.textContent === '' || cell.textContent === '-';
  }

  function compareCells(a, b, isNumeric, sign) {
    if (isMissing(a) || isMissing(b)) {
      return Number(isMissing(a)) - Number(isMissing(b));
    }
    return sign * (isNumeric ? Number(a.dataset.value) - Number(b.dataset.value) :
      texts.compare(a.textContent, b.textContent));
  }

  function setUpTable(section) {
    const title = section.querySelector('h2').textContent;
    const body = section.querySelector('tbody');
    const headers = [...section.querySelectorAll('th')];
    const rows = [...body.rows];  // as they came
    const save = section.querySelector('.csv');

    function sortBy(column, order) {
      headers.forEach((header, i) => {
        if (i === column && order !== 'none') {
          header.setAttribute('aria-sort', order);
        } else {
          header.removeAttribute('aria-sort');
        }
      });
      const isNumeric = headers[column].classList.contains('number');
      const sign = order === 'descending' ? -1 : 1;
      const sorted = order === 'none' ? rows : [...rows].sort((a, b) =>
        compareCells(a.cells[column], b.cells[column], isNumeric, sign));
      body.append(...sorted);
    }

    headers.forEach((header, column) => {
      const next = {ascending: 'descending', descending: 'none'};
      header.title = 'Sort: up, down, as it was';
      header.querySelector('button').addEventListener('click', () =>
        sortBy(column, next[header.getAttribute('aria-sort')] ?? 'ascending'));
    });

    const filter = section.querySelector('input');
    filter?.addEventListener('input', () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = [...row.cells].map((cell) =>
          `${cell.textContent} ${cell.dataset.value ?? ''}`).join(' ').toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += row.hidden ? 0 : 1;
      }
      const isPart = shown < rows.length;
      section.querySelector('.shown').textContent = isPart ? `${shown} of ${rows.length} rows` : '';
      save.textContent = isPart ? 'Download CSV of these rows' : 'Download CSV';
    });

    save.addEventListener('click', () => {
      const titles = headers.map((header) => {
        const unit = (header.dataset.unit ?? '').trim();
        return header.textContent + (unit ? ` (${unit})` : '');
      });
      const shown = [...body.rows].filter((row) => !row.hidden);
      saveCsv(title, [titles, ...shown.map((row) =>
        [...row.cells].map((cell) => cell.dataset.value ?? cell.textContent))]);
    });
  }

  document.querySelectorAll('section.table').forEach(setUpTable);

  // ---- charts

  // Told apart by more than colour: by markers and dashes, or by hatching.
  const LIGHT = ['#0067a5', '#c8500a', '#0a7d5a', '#a8437f', '#8a6a00', '#3a8fc8', '#555b63',
    '#7a2a1e'];
  const DARK = ['#5cb3ee', '#ff9b57', '#43cfa0', '#e895c6', '#edc64f', '#a5b9ff', '#b9bfc7',
    '#ff8d86'];
  const MARKERS = ['circle', 'rect', 'triangle', 'rectRot', 'crossRot', 'circle', 'rect', 'star'];
  const HOLLOW = [false, true, false, true, false, true, false, false];
  const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [14, 4], [5, 2], [2, 6], [10, 3, 2, 3, 2, 3]];
  const TILE = 8;
  const ON_PAPER = {width: 690, height: 850, row: 12, devicePixelRatio: 3};  // A4 and letter

  const dark = matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => dark.matches && !root.classList.contains('printing');
  const variable = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const colourOf = (index) => (isDark() ? DARK : LIGHT)[index % LIGHT.length];

  // The fill of a series of bars.
  function hatching(index, context) {
    const kind = index % LIGHT.length;
    const colour = colourOf(index);
    if (kind === 0) {
      return colour;
    }
    const scale = 4;
    const tile = document.createElement('canvas');
    tile.width = tile.height = TILE * scale;
    const pen = tile.getContext('2d');
    pen.scale(scale, scale);
    pen.fillStyle = variable('--paper');
    pen.fillRect(0, 0, TILE, TILE);
    pen.globalAlpha = 0.22;
    pen.fillStyle = colour;
    pen.fillRect(0, 0, TILE, TILE);
    pen.globalAlpha = 1;
    pen.strokeStyle = colour;
    pen.lineWidth = 2;
    const line = (x1, y1, x2, y2) => {
      pen.beginPath();
      pen.moveTo(x1, y1);
      pen.lineTo(x2, y2);
      pen.stroke();
    };
    const half = TILE / 2;
    if (kind === 1 || kind === 4) {  // rising
      line(-1, TILE + 1, TILE + 1, -1);
      line(-1, 1, 1, -1);
      line(TILE - 1, TILE + 1, TILE + 1, TILE - 1);
    }
    if (kind === 3 || kind === 4) {  // falling
      line(-1, -1, TILE + 1, TILE + 1);
      line(TILE - 1, -1, TILE + 1, 1);
      line(-1, TILE - 1, 1, TILE + 1);
    }
    if (kind === 5 || kind === 7) {
      line(0, half, TILE, half);
    }
    if (kind === 6 || kind === 7) {
      line(half, 0, half, TILE);
    }  // 2: the tint alone
    const pattern = context.createPattern(tile, 'repeat');
    pattern.setTransform(new DOMMatrix().scale(1 / scale));
    return pattern;
  }

  function niceStep(rough) {
    const power = 10 ** Math.floor(Math.log10(rough));
    return power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  }

  // Where a logarithmic axis is labelled.
  function logTicks(low, high) {
    const decades = Math.log10(high) - Math.log10(low);
    if (decades < 0.4) {
      const step = niceStep((high - low) / 7);
      const first = Math.ceil(low / step);
      const count = Math.floor(high / step) - first + 1;
      return Array.from({length: Math.max(count, 0)}, (_, i) =>
        Number(((first + i) * step).toPrecision(12)));
    }
    const factors = decades < 1.5 ? [1, 1.5, 2, 3, 4, 5, 7] : decades < 4 ? [1, 2, 5] : [1];
    const stride = Math.max(1, Math.ceil(decades / 10));
    const ticks = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e += stride) {
      ticks.push(...factors.map((factor) => Number(`${factor}e${e}`)));
    }
    return ticks.filter((tick) => tick >= low && tick <= high);
  }

  function axisTitle(text) {
    return {display: text !== '', text, font: {size: 13}};
  }

  function axis(label, isLog, hasBars) {
    const title = shortened(label, 70) + (isLog ? `${label ? ', ' : ''}log scale` : '');
    return {
      type: isLog ? 'logarithmic' : 'linear',
      bounds: isLog ? 'data' : 'ticks',
      title: axisTitle(title),
      ticks: {callback: (value) => numberText(value), maxRotation: 0},
      ...(isLog ? {
        afterDataLimits: (scale) => {
          const margin = Math.min(Math.max((scale.max / scale.min) ** 0.04, 1.02), 10);
          // Bars begin where the least of them would not vanish.
          scale.min = hasBars ? 10 ** Math.floor(Math.log10(scale.min / 1.5)) : scale.min / margin;
          scale.max *= margin;
        },
        afterBuildTicks: (scale) => {
          scale.ticks = logTicks(scale.min, scale.max).map((value) => ({value}));
        },
      } : {}),
    };
  }

  function pointsConfig(data) {
    const named = (label, value) => (label ? `${label}: ` : '') + numberText(value);
    const isAlone = data.series.length === 1 && !data.series[0].name;
    return {
      type: 'scatter',
      data: {
        datasets: data.series.map((series, i) => {
          const count = series.x.length;
          const radius = count > 300 ? 2.5 : count > 80 ? 3.5 : 4.5;
          return {
            label: series.name,
            data: series.x.map((x, k) => ({x, y: series.y[k]})),
            showLine: series.line,
            stepped: series.stepped ? 'before' : false,
            borderWidth: 2,
            borderDash: DASHES[i % DASHES.length],
            pointStyle: MARKERS[i % MARKERS.length],
            pointRadius: radius,
            pointHoverRadius: radius + 2,
            pointHitRadius: 8,
            clip: 10,
          };
        }),
      },
      options: {
        interaction: {mode: 'nearest', intersect: true},
        scales: {
          x: {...axis(data.x_label, data.log_x, false), grace: '3%'},
          y: {...axis(data.y_label, data.log_y, false), grace: '5%'},
        },
        plugins: {
          tooltip: {
            callbacks: {
              title: () => '',
              label: (item) => {
                const series = data.series[item.datasetIndex];
                const note = series.notes[item.dataIndex];
                return [
                  ...(isAlone ? [] : wrapped(series.name, 70)),
                  ...(note ? wrapped(note, 70) : []),
                  named(data.x_label, item.parsed.x),
                  named(data.y_label, item.parsed.y),
                ];
              },
            },
          },
        },
      },
    };
  }

  function rowHeight(data) {
    const room = data.categories.length > 20 ? 17 : 26;
    const wanted = data.kind === 'bars' ? Math.max(room, 7 * data.series.length + 6) : room;
    return Math.min(wanted, 15000 / data.categories.length);  // browsers limit what they draw on
  }

  function barsConfig(data) {
    const isStacked = data.kind === 'stacked_bars';
    return {
      type: 'bar',
      data: {
        labels: data.categories,
        datasets: data.series.map((series) => ({
          label: series.name,
          data: series.y,
          borderWidth: 1,
          barPercentage: isStacked ? 0.95 : 0.98,
          categoryPercentage: 0.82,
          maxBarThickness: 26,
        })),
      },
      options: {
        indexAxis: 'y',
        interaction: {mode: 'index', axis: 'y', intersect: false},
        scales: {
          x: {
            ...axis(data.y_label, data.log_y, true),
            beginAtZero: !data.log_y,
            stacked: isStacked,
            position: data.categories.length > 25 ? 'top' : 'bottom',
          },
          y: {
            type: 'category',
            stacked: isStacked,
            title: axisTitle(shortened(data.x_label, 30)),
            ticks: {
              autoSkip: rowHeight(data) < 11,
              font: {size: 11.5},
              callback: (_, index) => shortened(data.categories[index], 30),
            },
            grid: {display: false},
          },
        },
        plugins: {
          tooltip: {
            callbacks: {
              title: (items) => items.length ? wrapped(items[0].label, 70) : '',
              beforeBody: () => data.y_label ? wrapped(data.y_label, 70) : [],
              label: (item) => {
                const series = data.series[item.datasetIndex];
                const note = series.notes[item.dataIndex];
                const value = (series.name ? `${series.name}: ` : '') + numberText(item.parsed.x);
                return [...wrapped(value, 70), ...(note ? wrapped(note, 70) : [])];
              },
              footer: (items) => isStacked && items.length > 1 ?
                `together: ${numberText(items.reduce((sum, item) => sum + item.parsed.x, 0))}` : '',
            },
          },
        },
      },
    };
  }

  function chartRows(data) {
    if (data.categories.length === 0) {
      const hasNotes = data.series.some((series) => series.notes.length > 0);
      const titles = ['series', data.x_label || 'x', data.y_label || 'y'];
      return [hasNotes ? [...titles, 'note'] : titles, ...data.series.flatMap((series) =>
        series.x.map((x, i) => [series.name, x, series.y[i],
          ...(hasNotes ? [series.notes[i] ?? ''] : [])]))];
    }
    const columns = data.series.flatMap((series) => series.notes.length ?
      [[series.name, series.y], [`${series.name} note`, series.notes]] : [[series.name, series.y]]);
    return [[data.x_label || 'category', ...columns.map(([name]) => name)],
      ...data.categories.map((category, i) =>
        [category, ...columns.map(([, values]) => values[i])])];
  }

  // A sample of line and marker, or of hatching.
  function drawSample(canvas, index, series, hasBars) {
    const scale = 3;
    const [width, height] = [34, 14];
    canvas.width = width * scale;
    canvas.height = height * scale;
    const pen = canvas.getContext('2d');
    pen.scale(scale, scale);
    pen.strokeStyle = colourOf(index);
    if (hasBars) {
      pen.fillStyle = hatching(index, pen);
      pen.fillRect(5, 1, width - 10, height - 2);
      pen.strokeRect(5.5, 1.5, width - 11, height - 3);
      return;
    }
    pen.lineWidth = 2;
    if (series.line) {
      pen.setLineDash(DASHES[index % DASHES.length]);
      pen.beginPath();
      pen.moveTo(0, height / 2);
      pen.lineTo(width, height / 2);
      pen.stroke();
      pen.setLineDash([]);
    }
    pen.fillStyle = HOLLOW[index % HOLLOW.length] ? variable('--paper') : colourOf(index);
    Chart.helpers.drawPoint(pen, {pointStyle: MARKERS[index % MARKERS.length], radius: 4.5,
      rotation: 0, borderWidth: 2}, width / 2, height / 2);
  }

  const views = [];

  // Puts the page's present colours on a chart and its legend.
  function paint(view) {
    const {chart, data, samples, hasBars} = view;
    const [ink, faint, line, paper] =
      ['--ink', '--faint', '--line', '--paper'].map(variable);
    data.series.forEach((series, i) => {
      const dataset = chart.data.datasets[i];
      const colour = colourOf(i);
      dataset.borderColor = colour;
      dataset.backgroundColor = hasBars ? hatching(i, chart.ctx) : colour;
      if (!hasBars) {
        dataset.pointBorderColor = colour;
        const fill = HOLLOW[i % HOLLOW.length] ? paper : colour;
        dataset.pointBackgroundColor = dataset.pointHoverBackgroundColor = fill;
      }
      if (samples[i]) {
        drawSample(samples[i], i, series, hasBars);
      }
    });
    for (const scale of Object.values(chart.options.scales)) {
      scale.ticks.color = faint;
      scale.title.color = ink;
      scale.grid.color = line;
      scale.grid.borderColor = faint;
    }
    Object.assign(chart.options.plugins.tooltip, {backgroundColor: paper, borderColor: faint,
      titleColor: ink, bodyColor: ink, footerColor: ink});
    chart.update();
  }

  // One button per series that shows and hides it; returns their samples.
  function addLegend(section, chart, data) {
    if (data.series.length === 1 && !data.series[0].name) {
      return [];
    }
    return data.series.map((series, i) => {
      const button = document.createElement('button');
      const sample = document.createElement('canvas');
      button.type = 'button';
      button.title = series.name;
      button.setAttribute('aria-pressed', 'true');
      button.append(sample, shortened(series.name, 60));
      button.addEventListener('click', () => {
        const isShown = !chart.isDatasetVisible(i);
        button.setAttribute('aria-pressed', String(isShown));
        chart.setDatasetVisibility(i, isShown);
        chart.update();
      });
      section.querySelector('.legend').append(button);
      return sample;
    });
  }

  // The whole name of a shortened category under the pointer.
  function nameUnder(event, chart, data) {
    if (event.offsetX >= chart.chartArea.left) {
      return '';
    }
    const index = chart.scales.y.getValueForPixel(event.offsetY);
    return data.categories[index] ?? '';
  }

  function setUpChart(section) {
    const data = JSON.parse(section.querySelector('script').textContent);
    const canvas = section.querySelector('canvas');
    const drawing = section.querySelector('.drawing');
    section.querySelector('.csv').addEventListener('click', () =>
      saveCsv(data.title, chartRows(data)));
    if (data.series.every((series) => series.y.length === 0)) {
      const note = document.createElement('p');
      note.className = 'empty';
      note.textContent = 'There is nothing to draw.';
      drawing.replaceChildren(note);
      return;
    }
    const hasBars = data.categories.length > 0;
    const height = hasBars ?
      Math.round(Math.max(data.categories.length * rowHeight(data), 70)) + 75 : 430;
    drawing.style.height = `${height}px`;
    const config = hasBars ? barsConfig(data) : pointsConfig(data);
    Object.assign(config.options,
      {animation: false, maintainAspectRatio: false, layout: {padding: {right: 12}}});
    Object.assign(config.options.plugins, {legend: {display: false}});
    Object.assign(config.options.plugins.tooltip,
      {borderWidth: 1, padding: 9, displayColors: hasBars, boxPadding: 4, caretSize: 4,
        multiKeyBackground: 'transparent'});
    config.options.font = {family: getComputedStyle(document.body).fontFamily, size: 12};
    const chart = new Chart(canvas, config);
    const view = {chart, data, height, hasBars, samples: addLegend(section, chart, data)};
    if (hasBars) {
      canvas.addEventListener('mousemove', (event) => {
        canvas.title = nameUnder(event, chart, data);
      });
    }
    views.push(view);
    paint(view);
  }

  document.querySelectorAll('section.chart').forEach(setUpChart);

  dark.addEventListener('change', () => views.forEach(paint));

  // Paper is white, narrower than a screen, and finer.
  addEventListener('beforeprint', () => {
    root.classList.add('printing');
    for (const view of views) {
      view.screenRatio = view.chart.options.devicePixelRatio;
      view.chart.options.devicePixelRatio = ON_PAPER.devicePixelRatio;
      const least = view.data.categories.length * ON_PAPER.row;
      view.chart.resize(ON_PAPER.width, Math.min(view.height, Math.max(ON_PAPER.height, least)));
      paint(view);
    }
  });
  addEventListener('afterprint', () => {
    root.classList.remove('printing');
    for (const view of views) {
      view.chart.options.devicePixelRatio = view.screenRatio;
      view.chart.resize();
      paint(view);
    }
  });
})();
