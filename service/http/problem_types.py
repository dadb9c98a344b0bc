"""The types of problems that the service tells of (RFC 9457), and what they mean, in both languages; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from kg.rdf.namespaces import BASE

PROBLEM_NAMESPACE: Final = BASE + "problem/"
"""Where the types of problems are named; a type is this and the problem's name."""


@dataclass(frozen=True)
class ProblemText:
    """What is said of a type of problem in one language: its title, what it means and what to do about it."""

    title: str
    meaning: str
    advice: str


@dataclass(frozen=True)
class ProblemType:
    """A type of problem: the status that it comes with, and its words in each language."""

    status: HTTPStatus
    en: ProblemText
    vi: ProblemText

    def text_in(self, language: str) -> ProblemText:
        """The words in a language, one of those of the pages."""
        return self.vi if language == "vi" else self.en


_TRY_AGAIN_EN: Final = "Try again after the seconds that the header Retry-After gives."
_TRY_AGAIN_VI: Final = "Hãy thử lại sau số giây ghi trong trường Retry-After."
_TELL_THE_OPERATOR_EN: Final = (
    "Tell the operator of the service the value of `instance`: the log has the cause under it."
)
_TELL_THE_OPERATOR_VI: Final = (
    "Hãy báo cho người vận hành dịch vụ giá trị của `instance`: nhật ký có ghi nguyên nhân dưới mã đó."
)

PROBLEM_TYPES: Final[Mapping[str, ProblemType]] = {
    "bad-request": ProblemType(
        HTTPStatus.BAD_REQUEST,
        en=ProblemText(
            "Bad Request",
            "The request does not keep to the protocol: a parameter is missing, given twice or in the wrong place, "
            "or the body cannot be read.",
            "Correct what `detail` names; the documentation of the path says what it takes.",
        ),
        vi=ProblemText(
            "Yêu cầu không hợp lệ",
            "Yêu cầu không đúng giao thức: một tham số bị thiếu, bị lặp hoặc đặt sai chỗ, hoặc không đọc được phần "
            "thân.",
            "Hãy sửa điều mà `detail` nêu; tài liệu của đường dẫn cho biết nó nhận những gì.",
        ),
    ),
    "bad-input": ProblemType(
        HTTPStatus.BAD_REQUEST,
        en=ProblemText(
            "The request cannot be used",
            "What was sent is well-formed but cannot be used, such as a query that is empty, too long or nested too "
            "deep.",
            "Change what `detail` names.",
        ),
        vi=ProblemText(
            "Không dùng được yêu cầu",
            "Dữ liệu gửi lên đúng cú pháp nhưng không dùng được, ví dụ truy vấn rỗng, quá dài hoặc lồng quá sâu.",
            "Hãy sửa điều mà `detail` nêu.",
        ),
    ),
    "query-syntax": ProblemType(
        HTTPStatus.BAD_REQUEST,
        en=ProblemText(
            "The query does not parse",
            "The text is not a SPARQL 1.1 query; `line` and `column` say where it stops being one.",
            "Look at that place: a missing bracket or an undeclared prefix is the usual cause. Updates are not taken.",
        ),
        vi=ProblemText(
            "Truy vấn sai cú pháp",
            "Văn bản không phải là truy vấn SPARQL 1.1; `line` và `column` cho biết chỗ sai.",
            "Hãy xem chỗ đó: thường là thiếu dấu ngoặc hoặc tiền tố chưa khai báo. Dịch vụ không nhận lệnh cập nhật.",
        ),
    ),
    "rdf-syntax": ProblemType(
        HTTPStatus.BAD_REQUEST,
        en=ProblemText(
            "The RDF does not parse",
            "The body is not what its content type says; `line` and `column` say where, as far as that is known. "
            "JSON-LD is refused too if it names a context that would have to be fetched.",
            "Correct that place, or send the content type that fits. Write a foreign JSON-LD context into the "
            "document.",
        ),
        vi=ProblemText(
            "RDF sai cú pháp",
            "Phần thân không đúng với kiểu nội dung đã khai; `line` và `column` cho biết chỗ sai nếu biết được. "
            "JSON-LD cũng bị từ chối nếu dẫn đến một ngữ cảnh phải tải từ nơi khác.",
            "Hãy sửa chỗ đó, hoặc gửi đúng kiểu nội dung. Hãy chép ngữ cảnh JSON-LD bên ngoài vào trong tài liệu.",
        ),
    ),
    "unknown-graph": ProblemType(
        HTTPStatus.BAD_REQUEST,
        en=ProblemText(
            "There is no such graph",
            "The dataset of the query names a graph that is not held here. Nothing is fetched from elsewhere, and "
            "an empty graph would hide the mistake.",
            "Choose one of the graphs that /graph lists.",
        ),
        vi=ProblemText(
            "Không có đồ thị đó",
            "Tập dữ liệu của truy vấn nêu một đồ thị không có ở đây. Dịch vụ không tải gì từ nơi khác, còn trả về "
            "một đồ thị rỗng thì sẽ che mất sai sót.",
            "Hãy chọn một trong các đồ thị được liệt kê ở /graph.",
        ),
    ),
    "evidence-text": ProblemType(
        HTTPStatus.BAD_REQUEST,
        en=ProblemText(
            "The text is not the one that is cited",
            "The text at hand has another digest than the text of the source, or the source is not known.",
            "Use the very text that the source names.",
        ),
        vi=ProblemText(
            "Văn bản không phải là bản được dẫn",
            "Văn bản đưa vào có mã băm khác với văn bản của nguồn, hoặc không biết nguồn đó.",
            "Hãy dùng đúng văn bản mà nguồn nêu.",
        ),
    ),
    "service-denied": ProblemType(
        HTTPStatus.FORBIDDEN,
        en=ProblemText(
            "SERVICE is not allowed",
            "The query calls another endpoint with SERVICE at a host that the operator did not allow.",
            "Ask that endpoint yourself and put its answer into VALUES, or ask the operator to allow the host.",
        ),
        vi=ProblemText(
            "Không được dùng SERVICE",
            "Truy vấn gọi một điểm truy vấn khác bằng SERVICE ở máy chủ mà người vận hành không cho phép.",
            "Hãy tự hỏi điểm truy vấn đó rồi đưa kết quả vào VALUES, hoặc đề nghị người vận hành cho phép máy chủ đó.",
        ),
    ),
    "not-found": ProblemType(
        HTTPStatus.NOT_FOUND,
        en=ProblemText(
            "There is nothing here",
            "There is no such path, no such form of a document, or nothing is said about the thing.",
            "Look for the right name on the start page or with a query.",
        ),
        vi=ProblemText(
            "Không có gì ở đây",
            "Không có đường dẫn này, không có dạng này của tài liệu, hoặc không có thông tin gì về đối tượng.",
            "Hãy tìm tên đúng ở trang chủ hoặc bằng một truy vấn.",
        ),
    ),
    "method-not-allowed": ProblemType(
        HTTPStatus.METHOD_NOT_ALLOWED,
        en=ProblemText(
            "Method Not Allowed",
            "The path does not take this method.",
            "Use one of the methods in the header Allow.",
        ),
        vi=ProblemText(
            "Phương thức không được phép",
            "Đường dẫn không nhận phương thức này.",
            "Hãy dùng một phương thức nêu trong trường Allow.",
        ),
    ),
    "not-acceptable": ProblemType(
        HTTPStatus.NOT_ACCEPTABLE,
        en=ProblemText(
            "No acceptable format",
            "The answer cannot be had in any of the formats of the header Accept.",
            "Ask for one of the formats in `offered`.",
        ),
        vi=ProblemText(
            "Không có định dạng phù hợp",
            "Câu trả lời không có ở định dạng nào nêu trong trường Accept.",
            "Hãy yêu cầu một trong các định dạng ở `offered`.",
        ),
    ),
    "result-too-large": ProblemType(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        en=ProblemText(
            "The result is too large",
            "The query's result is larger than one result may be; none of it was sent.",
            "Ask for less of it at a time with LIMIT and OFFSET, or take a dump from /graph.",
        ),
        vi=ProblemText(
            "Kết quả quá lớn",
            "Kết quả của truy vấn lớn hơn mức cho phép; không có phần nào được gửi đi.",
            "Hãy lấy từng phần bằng LIMIT và OFFSET, hoặc tải tệp kết xuất ở /graph.",
        ),
    ),
    "request-entity-too-large": ProblemType(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        en=ProblemText(
            "Request Entity Too Large",
            "The body is longer than is taken here.",
            "Send it in smaller parts.",
        ),
        vi=ProblemText(
            "Phần thân của yêu cầu quá lớn",
            "Phần thân dài hơn mức được nhận.",
            "Hãy gửi thành các phần nhỏ hơn.",
        ),
    ),
    "unsupported-format": ProblemType(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        en=ProblemText(
            "The format is not supported",
            "The content type is missing or names no RDF format that is read here.",
            "Send one of the content types in `detail`, such as text/turtle.",
        ),
        vi=ProblemText(
            "Không hỗ trợ định dạng này",
            "Kiểu nội dung bị thiếu hoặc không phải là định dạng RDF đọc được ở đây.",
            "Hãy gửi một kiểu nội dung nêu ở `detail`, ví dụ text/turtle.",
        ),
    ),
    "unsupported-media-type": ProblemType(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        en=ProblemText(
            "Unsupported Media Type",
            "The content type is none that the path takes, or names a character set other than UTF-8.",
            "Send what `detail` names, in UTF-8.",
        ),
        vi=ProblemText(
            "Không hỗ trợ kiểu nội dung này",
            "Đường dẫn không nhận kiểu nội dung này, hoặc bộ ký tự không phải là UTF-8.",
            "Hãy gửi kiểu mà `detail` nêu, bằng UTF-8.",
        ),
    ),
    "requested-range-not-satisfiable": ProblemType(
        HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
        en=ProblemText(
            "Requested Range Not Satisfiable",
            "The file is shorter than the range that was asked for.",
            "Ask for the whole file.",
        ),
        vi=ProblemText(
            "Không có khoảng được yêu cầu",
            "Tệp ngắn hơn khoảng được yêu cầu.",
            "Hãy yêu cầu toàn bộ tệp.",
        ),
    ),
    "shapes": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        en=ProblemText(
            "The shapes cannot be used",
            "The shapes graph imports another, calls SERVICE, uses a term that SHACL does not define, or is not "
            "well-formed. Nothing was judged.",
            "Correct the term that `detail` names; put all shapes into one document.",
        ),
        vi=ProblemText(
            "Không dùng được các ràng buộc",
            "Đồ thị ràng buộc nhập một đồ thị khác, gọi SERVICE, dùng thuật ngữ mà SHACL không định nghĩa, hoặc "
            "không hợp lệ. Chưa có gì được kiểm tra.",
            "Hãy sửa thuật ngữ mà `detail` nêu; đặt mọi ràng buộc vào một tài liệu.",
        ),
    ),
    "limit": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        en=ProblemText(
            "The query was stopped",
            "The work reached a limit and was stopped, so that others go on.",
            _TRY_AGAIN_EN,
        ),
        vi=ProblemText(
            "Truy vấn đã bị dừng",
            "Công việc đã chạm một giới hạn và bị dừng để các công việc khác tiếp tục.",
            _TRY_AGAIN_VI,
        ),
    ),
    "deadline": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        en=ProblemText(
            "The query took too long",
            "The query waited or ran longer than its time limit and was stopped. No part of an answer was sent.",
            "Make the query cheaper: join by shared variables, filter early, add LIMIT. If it was quick before, the "
            "service is busy: try again after the seconds in Retry-After.",
        ),
        vi=ProblemText(
            "Truy vấn mất quá nhiều thời gian",
            "Truy vấn đã đợi hoặc chạy quá thời hạn và bị dừng. Không có phần nào của câu trả lời được gửi đi.",
            "Hãy làm truy vấn nhẹ hơn: nối bằng biến chung, lọc sớm, thêm LIMIT. Nếu trước đây nó chạy nhanh thì "
            "dịch vụ đang bận: hãy thử lại sau số giây ghi trong Retry-After.",
        ),
    ),
    "memory-limit": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        en=ProblemText(
            "The query needed too much memory",
            "The query needed more memory than one query may have and was stopped.",
            "Sort, group or concatenate less at a time; look for joins without a shared variable.",
        ),
        vi=ProblemText(
            "Truy vấn cần quá nhiều bộ nhớ",
            "Truy vấn cần nhiều bộ nhớ hơn mức dành cho một truy vấn và đã bị dừng.",
            "Hãy sắp xếp, gom nhóm hoặc ghép ít dữ liệu hơn mỗi lần; tìm các phép nối không có biến chung.",
        ),
    ),
    "queue-full": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        en=ProblemText(
            "Too many queries are waiting",
            "The service has as many queries waiting as it keeps.",
            _TRY_AGAIN_EN,
        ),
        vi=ProblemText(
            "Có quá nhiều truy vấn đang đợi",
            "Số truy vấn đang đợi đã đến mức tối đa.",
            _TRY_AGAIN_VI,
        ),
    ),
    "spool-full": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        en=ProblemText(
            "Too many results are waiting to be read",
            "Large results that clients have not read yet fill the room that there is for them.",
            _TRY_AGAIN_EN,
        ),
        vi=ProblemText(
            "Có quá nhiều kết quả chưa được đọc",
            "Các kết quả lớn mà bên nhận chưa đọc đã chiếm hết chỗ chứa.",
            _TRY_AGAIN_VI,
        ),
    ),
    "crash": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        en=ProblemText(
            "The query's process ended",
            "The process that ran the query ended unexpectedly; no other query was touched.",
            "Try again after the seconds in Retry-After; if the same query ends so again, change it and tell the "
            "operator.",
        ),
        vi=ProblemText(
            "Tiến trình của truy vấn đã kết thúc",
            "Tiến trình chạy truy vấn đã kết thúc bất ngờ; không truy vấn nào khác bị ảnh hưởng.",
            "Hãy thử lại sau số giây ghi trong Retry-After; nếu vẫn truy vấn đó lại gặp lỗi này, hãy sửa nó và báo "
            "cho người vận hành.",
        ),
    ),
    "indexing": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        en=ProblemText(
            "The search is being prepared",
            "The index of names is being made from the graph, which takes some seconds where the graph is large.",
            _TRY_AGAIN_EN,
        ),
        vi=ProblemText(
            "Đang chuẩn bị tính năng tìm kiếm",
            "Chỉ mục tên gọi đang được lập từ đồ thị; với đồ thị lớn, việc này mất vài giây.",
            _TRY_AGAIN_VI,
        ),
    ),
    "unreachable": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        en=ProblemText(
            "The graph cannot be reached",
            "The process that holds the graph does not answer at this moment; it is restarted by itself.",
            _TRY_AGAIN_EN,
        ),
        vi=ProblemText(
            "Không truy cập được đồ thị",
            "Tiến trình giữ đồ thị hiện không trả lời; nó sẽ tự khởi động lại.",
            _TRY_AGAIN_VI,
        ),
    ),
    "refused": ProblemType(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        en=ProblemText(
            "The change was refused",
            "With it the graph would violate its shapes; nothing was changed. `findings` says what is wrong, and "
            "where.",
            "Correct the facts and send them again; `/validate` tries them without a token. The shapes say what fits.",
        ),
        vi=ProblemText(
            "Thay đổi bị từ chối",
            "Với thay đổi này, đồ thị sẽ vi phạm các ràng buộc; không có gì bị thay đổi. `findings` cho biết sai "
            "điều gì, ở đâu.",
            "Hãy sửa dữ kiện rồi gửi lại; `/validate` thử chúng mà không cần mã truy cập. Các ràng buộc nêu rõ thế "
            "nào là hợp lệ.",
        ),
    ),
    "conflict": ProblemType(
        HTTPStatus.CONFLICT,
        en=ProblemText(
            "The change does not fit the graph as it is",
            "Other changes came first, or what is to be undone was undone already or is built upon; nothing was "
            "changed.",
            "Look at /commits, and send the change again if it still makes sense.",
        ),
        vi=ProblemText(
            "Thay đổi không khớp với đồ thị hiện tại",
            "Đã có thay đổi khác đến trước, hoặc điều cần hoàn tác đã được hoàn tác hay đã có thay đổi khác dựa "
            "vào; không có gì bị thay đổi.",
            "Hãy xem /commits và gửi lại nếu thay đổi vẫn còn ý nghĩa.",
        ),
    ),
    "precondition": ProblemType(
        HTTPStatus.PRECONDITION_FAILED,
        en=ProblemText(
            "The graph has changed",
            "It is not of the generation that the change was meant for; nothing was changed.",
            "Read it again, and send the change with the new ETag in If-Match.",
        ),
        vi=ProblemText(
            "Đồ thị đã thay đổi",
            "Đồ thị không còn ở phiên bản mà thay đổi nhắm tới; không có gì bị thay đổi.",
            "Hãy đọc lại rồi gửi thay đổi với ETag mới trong If-Match.",
        ),
    ),
    "precondition-failed": ProblemType(
        HTTPStatus.PRECONDITION_FAILED,
        en=ProblemText(
            "The precondition failed",
            "If-Match names no current representation; nothing was changed.",
            "Read it again, and send the request with the new ETag.",
        ),
        vi=ProblemText(
            "Điều kiện không thỏa",
            "If-Match không nêu phiên bản hiện tại nào; không có gì bị thay đổi.",
            "Hãy đọc lại rồi gửi yêu cầu với ETag mới.",
        ),
    ),
    "scope": ProblemType(
        HTTPStatus.FORBIDDEN,
        en=ProblemText(
            "The token does not allow that",
            "The token does not reach that far, or nobody writes that graph by hand; nothing was changed.",
            "`detail` says which; ask the operator for a token with that graph or with the scope admin.",
        ),
        vi=ProblemText(
            "Mã truy cập không cho phép",
            "Mã truy cập không có đủ quyền, hoặc đồ thị đó không ai ghi trực tiếp; không có gì bị thay đổi.",
            "`detail` nêu rõ; hãy xin người vận hành mã truy cập có quyền với đồ thị đó, hoặc có phạm vi admin.",
        ),
    ),
    "unauthorized": ProblemType(
        HTTPStatus.UNAUTHORIZED,
        en=ProblemText(
            "A token is needed",
            "Writing needs a token that is known here; nothing was changed.",
            "Send `Authorization: Bearer TOKEN`; the operator makes one with `hpkg token create NAME`.",
        ),
        vi=ProblemText(
            "Cần mã truy cập",
            "Muốn ghi phải có mã truy cập được công nhận ở đây; không có gì bị thay đổi.",
            "Hãy gửi `Authorization: Bearer MÃ`; người vận hành tạo mã bằng `hpkg token create TÊN`.",
        ),
    ),
    "forbidden": ProblemType(
        HTTPStatus.FORBIDDEN,
        en=ProblemText("Forbidden", "That is not allowed here.", "`detail` says why; ask the operator."),
        vi=ProblemText("Bị cấm", "Điều đó không được phép ở đây.", "`detail` nêu lý do; hãy hỏi người vận hành."),
    ),
    "journal": ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        en=ProblemText(
            "The change cannot be recorded",
            "The journal cannot be written or read at this moment; nothing was changed, and reading goes on.",
            "Tell the operator what `detail` says: a full disk, a lock, or a read-only folder.",
        ),
        vi=ProblemText(
            "Không ghi nhận được thay đổi",
            "Lúc này không đọc hoặc ghi được nhật ký; không có gì bị thay đổi và việc đọc vẫn tiếp tục.",
            "Hãy báo cho người vận hành điều mà `detail` nêu: hết đĩa, bị khóa hoặc thư mục chỉ đọc.",
        ),
    ),
    "integrity": ProblemType(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        en=ProblemText(
            "The history was tampered with",
            "The journal is not what was once written: a hash does not fit.",
            _TELL_THE_OPERATOR_EN,
        ),
        vi=ProblemText(
            "Lịch sử đã bị can thiệp",
            "Nhật ký không còn đúng như đã ghi: một mã băm không khớp.",
            _TELL_THE_OPERATOR_VI,
        ),
    ),
    "engine": ProblemType(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        en=ProblemText(
            "The server failed",
            "The engine or the validator failed; nothing was changed.",
            _TELL_THE_OPERATOR_EN,
        ),
        vi=ProblemText(
            "Máy chủ gặp lỗi",
            "Bộ máy truy vấn hoặc bộ kiểm tra gặp lỗi; không có gì bị thay đổi.",
            _TELL_THE_OPERATOR_VI,
        ),
    ),
    "configuration": ProblemType(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        en=ProblemText(
            "The server failed",
            "The service is not set up as it should be.",
            _TELL_THE_OPERATOR_EN,
        ),
        vi=ProblemText(
            "Máy chủ gặp lỗi",
            "Dịch vụ được cấu hình không đúng.",
            _TELL_THE_OPERATOR_VI,
        ),
    ),
    "error": ProblemType(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        en=ProblemText(
            "The server failed",
            "The server failed; nothing was changed.",
            _TELL_THE_OPERATOR_EN,
        ),
        vi=ProblemText(
            "Máy chủ gặp lỗi",
            "Máy chủ gặp lỗi; không có gì bị thay đổi.",
            _TELL_THE_OPERATOR_VI,
        ),
    ),
    "internal-server-error": ProblemType(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        en=ProblemText(
            "Internal Server Error",
            "The server failed in a way that nobody foresaw; nothing was changed.",
            _TELL_THE_OPERATOR_EN,
        ),
        vi=ProblemText(
            "Lỗi bên trong máy chủ",
            "Máy chủ gặp một lỗi không lường trước; không có gì bị thay đổi.",
            _TELL_THE_OPERATOR_VI,
        ),
    ),
}
"""Every type of problem by its name. Names are stable: programs tell problems apart by them."""
