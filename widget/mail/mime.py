"""The form in which a mail travels: RFC 5322 and MIME."""

from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy

import flask_mail

from widget import clock
from widget.mail.outgoing import OutgoingMail, SendFailed

MAX_LINE_CHARS = 78


class MimeMail(flask_mail.Message):
    """Flask-Mail's message of one OutgoingMail: text and HTML as alternatives, safe for seven-bit transport.

    Raises SendFailed for an address that no mail can be sent to.
    """

    def __init__(self, mail: OutgoingMail, mail_from: str) -> None:
        # Not super().__init__: it makes a Message-ID by looking the machine's name up in the DNS.
        self._mail = mail
        self._domain = domain_of(mail_from)
        self.from_address = _address(mail_from, "UNJAM_MAIL_FROM", name=mail.sender_name)
        self.to_address = _address(mail.recipient, "The recipient's address", is_permanent=True)
        self.sender, self.recipients = str(self.from_address), [str(self.to_address)]
        self.cc, self.bcc, self.reply_to, self.attachments = [], [], None, []
        self.subject, self.body, self.alts = one_line(mail.subject), mail.text, {"html": mail.html}
        self.extra_headers = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}
        self.mail_options, self.rcpt_options = [], []
        self.charset, self.date, self.msgId = "utf-8", clock.now().timestamp(), self._id(mail.mail_id)

    @property
    def needs_smtputf8(self) -> bool:
        return not (self.from_address.addr_spec + self.to_address.addr_spec).isascii()

    def as_string(self) -> str:
        return self.as_bytes().decode().replace("\r\n", "\n")

    def as_bytes(self) -> bytes:
        return self._message().as_bytes()

    def _message(self) -> EmailMessage:  # type: ignore[override]
        # EmailMessage, unlike the classes that Flask-Mail builds on, refuses line breaks in every header.
        message = EmailMessage(policy=self._policy())
        message["From"] = self.from_address
        message["To"] = self.to_address
        message["Subject"] = self.subject
        message["Date"] = clock.now()
        message["Message-ID"] = self.msgId
        if self._mail.in_reply_to:
            message["In-Reply-To"] = self._id(self._mail.in_reply_to)
        if self._mail.references:
            message["References"] = " ".join(self._id(each) for each in self._mail.references)
        for name, value in (self.extra_headers or {}).items():
            message[name] = value
        message.set_content(self._mail.text, cte="quoted-printable")
        message.add_alternative(self._mail.html, subtype="html", cte="quoted-printable")
        # Last, because a header about the content would move into the first part with it.
        message["Content-Language"] = one_line(self._mail.language)
        return message

    def _policy(self) -> "EmailPolicy[EmailMessage]":
        # The standard library turns an id that does not fit into one line into an encoded word, which breaks threads.
        ids = (self._mail.mail_id, self._mail.in_reply_to or "", *self._mail.references)
        longest = max(len(f"In-Reply-To: {self._id(each)}") for each in ids)
        return SMTP.clone(max_line_length=max(MAX_LINE_CHARS, longest + 1), utf8=self.needs_smtputf8)

    def _id(self, mail_id: str) -> str:
        return f"<{one_line(mail_id)}@{self._domain}>"


def one_line(text: str) -> str:
    """Text that can stand in a header: line breaks and control characters become single spaces."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def domain_of(address: str) -> str:
    """The domain as the DNS spells it, or `localhost` where there is none."""
    domain = address.strip().rpartition("@")[2]
    try:
        return domain.encode("idna").decode("ascii") or "localhost"
    except UnicodeError:
        return "localhost"


def _address(text: str, what: str, *, name: str = "", is_permanent: bool = False) -> Address:
    local, _, domain = text.strip().rpartition("@")
    try:
        if not (local and domain):
            raise ValueError("a local part and a domain are needed")
        if not local.isascii():  # right for SMTPUTF8, but the parser behind `addr_spec` refuses it
            return Address(one_line(name), username=local, domain=domain_of(text))
        return Address(one_line(name), addr_spec=f"{local}@{domain_of(text)}")
    except (ValueError, IndexError, MessageError):
        raise SendFailed(f"{what} is not an e-mail address.", is_permanent=is_permanent) from None
