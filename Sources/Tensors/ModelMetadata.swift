import Wire

/// What a safetensors file has to say for itself to be used as a model: `architecture`, `classes` (a JSON array, in the
/// order of the outputs), `image_size` (edge of the square input, pixels). Lies in the header's `__metadata__`.
package struct ModelMetadata: Equatable, Sendable {
    package var architecture: String
    package var classes: [String]
    package var imageSize: Int

    package init(architecture: String, classes: [String], imageSize: Int) {
        self.architecture = architecture
        self.classes = classes
        self.imageSize = imageSize
    }

    package var fields: [String: String] {
        let list = StrictJSON.serialize(.array(classes.map { .string($0) })).dropLast()
        return [
            "architecture": architecture, "classes": String(decoding: list, as: UTF8.self),
            "image_size": "\(imageSize)",
        ]
    }

    /// - Returns: nil unless all three fields are there and in order.
    package init?(fields: [String: String]) {
        guard let architecture = fields["architecture"], !architecture.isEmpty, let list = fields["classes"],
            let size = fields["image_size"].flatMap({ Int($0) }), (1...65_536).contains(size),
            case .array(let values)? = try? StrictJSON.parse(Array(list.utf8), maximumBytes: 1 << 20)
        else { return nil }
        var classes: [String] = []
        for value in values {
            guard case .string(let name) = value else { return nil }
            classes.append(name)
        }
        guard classes.count >= 2 else { return nil }
        self.init(architecture: architecture, classes: classes, imageSize: size)
    }
}
