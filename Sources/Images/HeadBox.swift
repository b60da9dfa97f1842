/// A rectangle of pixels inside a picture.
package struct PixelBox: Equatable, Sendable {
    package let columns, rows: Range<Int>

    package init(columns: Range<Int>, rows: Range<Int>) {
        self.columns = columns
        self.rows = rows
    }
}

extension LumaImage {
    /// The part of the picture inside `box`.
    /// - Precondition: `box` lies in the picture and is not empty.
    package func cropped(to box: PixelBox) -> LumaImage {
        if box.columns.count == width && box.rows.count == height { return self }
        var part: [UInt8] = []
        part.reserveCapacity(box.columns.count * box.rows.count)
        for row in box.rows {
            part.append(
                contentsOf: pixels[(row * width + box.columns.lowerBound)..<(row * width + box.columns.upperBound)])
        }
        return LumaImage(width: box.columns.count, height: box.rows.count, pixels: part)
    }

    /// Where the head is: the bounding box of what is brighter than the dark border. The whole picture where that is in
    /// doubt, since a border left standing costs little and a head cut in half a diagnosis.
    ///
    /// 1. Dark and bright are the picture's own: the first and the last percentile of its gray values. A pixel is
    ///    bright above dark + (bright - dark) / 10.
    /// 2. The picture is divided into 64 x 64 cells, as even as whole pixels allow (fewer where it has fewer pixels). A
    ///    cell is filled if at least a quarter of its pixels are bright: single specks of noise fill none.
    /// 3. Filled cells that share a side form a group. Groups of less than 1/128 of all cells are marks (letters,
    ///    pieces of a scale) and do not count.
    /// 4. The box bounds all other groups, and one cell more on each side, for a rim too thin to fill its cells.
    ///
    /// The whole picture stays if dark is above a quarter of bright (no dark border), if bright - dark is below 16
    /// (next to nothing to see), if no group is left, or if the box is shorter than a quarter of the picture along
    /// either axis. Integers only, two passes over the pixels.
    package func headBox() -> PixelBox {
        let whole = PixelBox(columns: 0..<width, rows: 0..<height)
        let (dark, bright) = darkAndBright()
        guard bright - dark >= 16, 4 * dark <= bright else { return whole }
        let grid = CellGrid(self, above: dark + (bright - dark) / 10)
        guard let found = grid.bounds(minimum: max(1, grid.columns * grid.rows / 128)) else { return whole }
        let columns = max(0, found.columns.lowerBound - 1)..<min(grid.columns, found.columns.upperBound + 1)
        let rows = max(0, found.rows.lowerBound - 1)..<min(grid.rows, found.rows.upperBound + 1)
        let box = PixelBox(
            columns: (columns.lowerBound * width / grid.columns)..<(columns.upperBound * width / grid.columns),
            rows: (rows.lowerBound * height / grid.rows)..<(rows.upperBound * height / grid.rows))
        return 4 * box.columns.count < width || 4 * box.rows.count < height ? whole : box
    }

    /// The first and the last percentile of the gray values.
    private func darkAndBright() -> (dark: Int, bright: Int) {
        var histogram = [Int](repeating: 0, count: 256)
        for value in pixels { histogram[Int(value)] += 1 }
        func percentile(_ percent: Int) -> Int {
            var below = 0
            for (value, count) in histogram.enumerated() {
                below += count
                if 100 * below > percent * pixels.count { return value }
            }
            return 255
        }
        return (percentile(1), percentile(99))
    }
}

/// A picture in coarse cells, each filled or not.
private struct CellGrid {
    let columns, rows: Int
    /// Row-major.
    private var filled: [Bool]

    init(_ image: LumaImage, above threshold: Int) {
        columns = min(64, image.width)
        rows = min(64, image.height)
        filled = []
        filled.reserveCapacity(columns * rows)
        for row in 0..<rows {
            let lines = (row * image.height / rows)..<((row + 1) * image.height / rows)
            for column in 0..<columns {
                let places = (column * image.width / columns)..<((column + 1) * image.width / columns)
                var bright = 0
                for line in lines {
                    for place in places where Int(image.pixels[line * image.width + place]) > threshold { bright += 1 }
                }
                filled.append(4 * bright >= lines.count * places.count)
            }
        }
    }

    /// The bounds, in cells, of all groups of at least `minimum` filled cells; nil where there is none.
    func bounds(minimum: Int) -> PixelBox? {
        var open = filled
        var (left, right, top, bottom) = (columns, -1, rows, -1)
        for start in open.indices where open[start] {
            open[start] = false
            var group = [start]
            var next = 0
            while next < group.count {
                let (row, column) = group[next].quotientAndRemainder(dividingBy: columns)
                next += 1
                for (r, c) in [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
                where r >= 0 && r < rows && c >= 0 && c < columns && open[r * columns + c] {
                    open[r * columns + c] = false
                    group.append(r * columns + c)
                }
            }
            guard group.count >= minimum else { continue }
            for cell in group {
                let (row, column) = cell.quotientAndRemainder(dividingBy: columns)
                (left, right) = (min(left, column), max(right, column))
                (top, bottom) = (min(top, row), max(bottom, row))
            }
        }
        return right < 0 ? nil : PixelBox(columns: left..<(right + 1), rows: top..<(bottom + 1))
    }
}
