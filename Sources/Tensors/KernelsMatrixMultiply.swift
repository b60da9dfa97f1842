import CKernels

extension Kernels {
    /// Floats of workspace for a matrix product: the packed copy of `b`, and the workers' copies of rows of `a`.
    package static func matrixMultiplyWorkspaceCount(n: Int, k: Int, context: ComputeContext) -> Int {
        let width = context.instructionSet.kernels.pointee.width
        return (n + width - 1) / width * width * k
            + context.workers * MatrixProduct.stripCount(KernelTable(context.instructionSet))
    }

    /// `c = op(a) * op(b)`, or `c += ...` where `accumulate` is set; row-major, without gaps.
    /// - Parameters:
    ///   - m, n, k: `c` is `[m][n]`, `op(a)` is `[m][k]`, `op(b)` is `[k][n]`.
    ///   - a: `[m][k]`, or `[k][m]` with `transposeA`.
    ///   - b: `[k][n]`, or `[n][k]` with `transposeB`.
    ///   - bias: `[n]`, added to every row (not together with `accumulate`).
    ///   - epilogue: what is done to the sums; a residual is `[m][n]`.
    ///   - moments: takes the sums over `c`'s columns, see ``Convolution``; or nil.
    ///   - workspace: ``matrixMultiplyWorkspaceCount(n:k:context:)`` floats.
    package static func matrixMultiply(
        m: Int, n: Int, k: Int, a: UnsafePointer<Float>, transposeA: Bool = false, b: UnsafePointer<Float>,
        transposeB: Bool = false, bias: UnsafePointer<Float>? = nil, c: UnsafeMutablePointer<Float>,
        accumulate: Bool = false, epilogue: Epilogue = .none, moments: UnsafeMutablePointer<Float>? = nil,
        workspace: UnsafeMutablePointer<Float>, context: ComputeContext
    ) {
        precondition(bias == nil || !accumulate, "a bias starts a sum; it cannot be added to one")
        guard m > 0, n > 0 else { return }
        let table = KernelTable(context.instructionSet)
        let product = MatrixProduct(
            table: table, m: m, n: n, k: k, a: a, aRowStride: transposeA ? 1 : k, aDepthStride: transposeA ? m : 1,
            b: b, transposeB: transposeB, bias: bias, c: c, accumulate: accumulate, epilogue: epilogue,
            moments: moments.map { alignedDoubles($0) }, packed: workspace,
            strips: workspace + (n + table.width - 1) / table.width * table.width * k)
        product.run(context)
    }
}
